package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
)

// readPanel reads what phone and control panel are asked: a JSON object from
// programs, or a form from the pages, which fields reads. It reports which.
func readPanel[T any](w http.ResponseWriter, r *http.Request, fields func(url.Values) (T, error)) (request *T, form bool, err error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, false, fmt.Errorf("reading the body: %w", err)
	}
	request = new(T)
	if isJSON(body) {
		return request, false, decodeJSON(body, request)
	}
	values, err := formValues(r, body)
	if err != nil {
		return nil, true, err
	}
	if *request, err = fields(values); err != nil {
		return nil, true, err
	}
	return request, true, nil
}

// isJSON reports whether a body is a JSON object rather than a form. The
// content type does not tell: command-line clients send JSON as forms.
func isJSON(body []byte) bool { return bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")) }

// decodeJSON decodes a body of the control panel.
func decodeJSON(body []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("decoding the body: %w", err)
	}
	return nil
}

// formValues decodes a form whose body was read already.
func formValues(r *http.Request, body []byte) (url.Values, error) {
	values, err := url.ParseQuery(string(body))
	if err != nil || r.Header.Get("Content-Type") == "" {
		return nil, errors.New("the body is neither a JSON object nor a form")
	}
	return values, nil
}

// formNumber reads an optional whole number of a form.
func formNumber(values url.Values, name string) (int, error) {
	if values.Get(name) == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(values.Get(name))
	if err != nil {
		return 0, fmt.Errorf("%s must be a whole number", name)
	}
	return n, nil
}
