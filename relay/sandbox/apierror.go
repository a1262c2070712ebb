package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// Numbers at the end of Request-ID by which WeChat's support finds the cause
// (v3.md 8).
const (
	logNoError       = 0
	logBadParameter  = 268435461
	logFrequency     = 268447840
	logExtra         = 270924358
	logOrderNotFound = 268512771
	logOrderPaid     = 268449538
	logOrderInvalid  = 268447914
	logReentry       = 268498688
	logAppIDNotBound = 268445527
	logNoMerchant    = 268443715
	logNoRelation    = 268443701
	logOtherSub      = 268447845
	logSignature     = 268443699
)

// apiError is a refusal as APIv3 words it.
type apiError struct {
	status  int
	code    string
	message string
	number  int // for Request-ID
	detail  *errorDetail
}

// Error names status and code.
func (e *apiError) Error() string { return fmt.Sprintf("%d %s: %s", e.status, e.code, e.message) }

// parameterError says which part of a request is wrong, in WeChat's terms.
type parameterError struct {
	field    string // JSON pointer, parameter or header name
	value    string
	issue    string
	location string // body, url, query, header
}

// Error describes the fault without the value.
func (e *parameterError) Error() string { return e.location + " " + e.field + ": " + e.issue }

// errorBody is the JSON form of a refusal.
type errorBody struct {
	Code    string       `json:"code"`
	Message string       `json:"message"`
	Detail  *errorDetail `json:"detail,omitempty"`
}

// errorDetail points at what is wrong.
type errorDetail struct {
	Field           string           `json:"field"`
	Value           string           `json:"value,omitempty"`
	Issue           string           `json:"issue"`
	Location        string           `json:"location"`
	SignInformation *signInformation `json:"sign_information,omitempty"`
}

// signInformation helps a merchant to compare what was signed.
type signInformation struct {
	Method               string `json:"method"`
	URL                  string `json:"url"`
	TruncatedSignMessage string `json:"truncated_sign_message"`
	SignMessageLength    int    `json:"sign_message_length"`
}

// refuse makes a refusal without detail.
func refuse(status int, code, message string, number int) *apiError {
	return &apiError{status: status, code: code, message: message, number: number}
}

// asAPIError turns any error of an operation into a refusal. What is neither
// a refusal nor a wrong parameter is the sandbox's own fault.
func asAPIError(err error) *apiError {
	if refusal, ok := errors.AsType[*apiError](err); ok {
		return refusal
	}
	if wrong, ok := errors.AsType[*parameterError](err); ok {
		number := logBadParameter
		if wrong.issue == issueExtra {
			number = logExtra
		}
		return &apiError{
			status: http.StatusBadRequest, code: "PARAM_ERROR", message: "参数错误", number: number,
			detail: &errorDetail{Field: wrong.field, Value: wrong.value, Issue: wrong.issue, Location: wrong.location},
		}
	}
	return refuse(http.StatusInternalServerError, "SYSTEM_ERROR", "系统错误", logNoError)
}

// reply writes the refusal as an answer. Refusals are not signed: the
// official clients verify 2xx alone.
func (e *apiError) reply() apiReply {
	body, err := json.Marshal(errorBody{Code: e.code, Message: e.message, Detail: e.detail})
	if err != nil { // strings always encode
		return apiReply{status: http.StatusInternalServerError}
	}
	return apiReply{status: e.status, body: body, number: e.number, contentType: "application/json; charset=utf-8"}
}
