package jsonobject_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth/internal/jsonobject"
)

// FuzzMembers: what is accepted has the members that package json sees, and no others.
func FuzzMembers(f *testing.F) {
	for body, want := range map[string]bool{
		`{}`: true, ` {"a":1,"A":[{"a":1,"a":2}]} `: true, `{"a":"}"}`: true,
		``: false, `[]`: false, `null`: false, `{"a":1,"a":1}`: false, `{"a":1,"\u0061":1}`: false, `{"a":1}x`: false, `{"a":1}{}`: false, `{"a":1,}`: false,
		`{"a" 1}`: false, `{1:1}`: false, `{"a":1`: false, "{\"a\":\"\xff\"}": false,
		`{"a":"\ud800"}`: false, `{"a":"\udfff\ud800"}`: false, `{"\uD83dx":1}`: false, `{"a":"\\\udc00"}`: false, `{"a":"\ud83d\n"}`: false, `{"a":["\ud83d\u0041"]}`: false,
		`{"a":"\ud83d\uDE00"}`: true, `{"a":"\\ud800"}`: true, `{"a":"\ufffd\n\""}`: true,
	} {
		if _, err := jsonobject.Members([]byte(body)); (err == nil) != want {
			f.Errorf("%q: %v, want accepted: %v", body, err, want)
		}
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := jsonobject.Members(body)
		if err != nil {
			return
		}
		want := map[string]json.RawMessage{}
		if err := json.Unmarshal(body, &want); err != nil {
			t.Fatalf("%q is accepted: %v", body, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", body, diff)
		}
	})
}
