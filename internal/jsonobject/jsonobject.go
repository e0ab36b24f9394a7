// Package jsonobject reads JSON objects that other servers send.
package jsonobject

import (
	"bytes"
	"encoding/json"
	"errors"
)

var errNoObject = errors.New("is not one JSON object")

// Members returns the members of a JSON object. Unlike package json it refuses
// doubled names and what is no text by [IsText]. It does not fold the case of names.
// Its errors complete a sentence about the body, and have nothing of it.
func Members(body []byte) (map[string]json.RawMessage, error) {
	if !IsText(body) {
		return nil, errors.New("is not in UTF-8, or has an escape that is half a character")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, errNoObject
	}
	o := make(map[string]json.RawMessage)
	for d.More() {
		name, err := d.Token()
		text, ok := name.(string)
		if err != nil || !ok {
			return nil, errNoObject
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, errNoObject
		}
		if _, doubled := o[text]; doubled {
			return nil, errors.New("has a member twice")
		}
		o[text] = value
	}
	if _, err := d.Token(); err != nil || d.InputOffset() < int64(len(bytes.TrimRight(body, " \t\r\n"))) {
		return nil, errNoObject
	}
	return o, nil
}
