package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// customRelation is the relation that the merchant words itself.
const customRelation = "CUSTOM"

// The rules of the calls that add and delete receivers (v3.md 16).
var (
	addReceiverRules = object(
		fieldRule{"sub_mchid", text(32)},
		fieldRule{"appid", text(32).needed()},
		fieldRule{"sub_appid", text(32)},
		fieldRule{"type", text(32).needed().checked(oneOf(receiverMerchant, receiverOpenID, receiverSubOpenID))},
		fieldRule{"account", text(64).needed()},
		fieldRule{"name", text(1024)},
		fieldRule{"relation_type", text(32).needed().checked(oneOf("SERVICE_PROVIDER", "STORE", "STAFF", "STORE_OWNER",
			"PARTNER", "HEADQUARTER", "BRAND", "DISTRIBUTOR", "USER", "SUPPLIER", customRelation))},
		fieldRule{"custom_relation", text(30)},
	)
	deleteReceiverRules = object(
		fieldRule{"sub_mchid", text(32)},
		fieldRule{"appid", text(32).needed()},
		fieldRule{"sub_appid", text(32)},
		fieldRule{"type", text(32).needed().checked(oneOf(receiverMerchant, receiverOpenID, receiverSubOpenID))},
		fieldRule{"account", text(64).needed()},
	)
)

// receiverObject is the body of these calls, and what they echo.
type receiverObject struct {
	SubMchID       string `json:"sub_mchid,omitempty"`
	AppID          string `json:"appid,omitempty"`
	SubAppID       string `json:"sub_appid,omitempty"`
	Type           string `json:"type"`
	Account        string `json:"account"`
	Name           string `json:"name,omitempty"`
	RelationType   string `json:"relation_type,omitempty"`
	CustomRelation string `json:"custom_relation,omitempty"`
}

// startReceiver plays POST /v3/profitsharing/receivers/add.
func (s *Sandbox) startReceiver(c *apiCall) (apiReply, error) {
	request, err := s.readReceiver(c, &addReceiverRules)
	if err != nil {
		return apiReply{}, err
	}
	missing := func(name string) (apiReply, error) {
		return apiReply{}, &parameterError{field: "/" + name, issue: "the parameter is missing", location: "body"}
	}
	switch {
	case request.Type == receiverMerchant && request.Name == "":
		return missing("name") // a merchant is checked by its full name
	case request.RelationType == customRelation && request.CustomRelation == "":
		return missing("custom_relation")
	}
	if request.Name != "" {
		if err := c.checkSealed("/name", request.Name); err != nil {
			return apiReply{}, err
		}
	}
	s.ledger.addReceiver(request.receiver(c))
	echo := *request
	echo.AppID, echo.SubAppID = "", ""
	return jsonReply(echo)
}

// endReceiver plays POST /v3/profitsharing/receivers/delete.
func (s *Sandbox) endReceiver(c *apiCall) (apiReply, error) {
	request, err := s.readReceiver(c, &deleteReceiverRules)
	if err != nil {
		return apiReply{}, err
	}
	s.ledger.removeReceiver(request.receiver(c))
	return jsonReply(receiverObject{SubMchID: request.SubMchID, Type: request.Type, Account: request.Account})
}

// readReceiver reads the body of a call and checks whom it names.
func (s *Sandbox) readReceiver(c *apiCall, rules *rule) (*receiverObject, error) {
	if _, err := s.decodeBody(c, rules); err != nil {
		return nil, err
	}
	request := &receiverObject{}
	if err := json.Unmarshal(c.body, request); err != nil {
		return nil, fmt.Errorf("decoding a checked body: %w", err)
	}
	if err := c.checkSubMchID(request.SubMchID); err != nil {
		return nil, err
	}
	if !c.merchant.boundFor(&order{AppID: request.AppID, SubMchID: request.SubMchID, SubAppID: request.SubAppID}) {
		return nil, refuse(http.StatusBadRequest, "APPID_MCHID_NOT_MATCH", "appid和mch_id不匹配，请检查后再试", logAppIDNotBound)
	}
	return request, s.checkReceiver(request)
}

// receiver is whom a request names.
func (r *receiverObject) receiver(c *apiCall) receiver {
	return receiver{MchID: c.merchant.MchID, SubMchID: r.SubMchID, Kind: r.Type, Account: r.Account}
}

// checkReceiver checks that there can be such a receiver: a merchant number,
// or the openid of a person under the account that the request names.
func (s *Sandbox) checkReceiver(r *receiverObject) error {
	wrong := func(field, issue string) error {
		return &parameterError{field: field, value: r.Account, issue: issue, location: "body"}
	}
	appID := r.AppID
	switch r.Type {
	case receiverMerchant:
		if !mchIDForm.MatchString(r.Account) {
			return wrong("/account", "the account must be a merchant number")
		}
		return nil
	case receiverSubOpenID:
		if r.SubAppID == "" {
			return wrong("/sub_appid", "the parameter is missing: PERSONAL_SUB_OPENID needs it")
		}
		appID = r.SubAppID
	}
	if s.directory.payer(appID, r.Account) != payerKnown {
		return wrong("/account", "无效的openid: nobody in the sandbox has it under this account")
	}
	return nil
}
