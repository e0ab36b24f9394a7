package auth

import (
	"testing"
	"time"
)

// What waits is bounded: a request whose use has no place writes it itself.
func TestUsesAreBounded(t *testing.T) {
	var u uses
	if u.note(1, time.Time{}) {
		t.Error("a use is taken although nobody writes it")
	}
	u.begin()
	for id := range int64(maxUses) {
		if !u.note(id, time.Time{}) {
			t.Fatalf("no place for use %d", id)
		}
	}
	if u.note(maxUses, time.Time{}) || !u.note(1, time.Time{}) {
		t.Error("there is place for more, or none for a token that waits")
	}
	if ids, _ := u.take(nil); len(ids) != maxUses || u.note(1, time.Time{}) {
		t.Errorf("%d uses waited", len(ids))
	}
}
