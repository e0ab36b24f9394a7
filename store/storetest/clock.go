package storetest

import (
	"fmt"
	"time"

	"github.com/ostiary/auth/store"
)

func replayNoneBefore(t *tester) {
	u, app := t.user(), t.application()
	for _, before := range []time.Duration{us, hour} { // the clock was set back
		first := t.insert(t.pair(u.ID, app.ID))
		second := t.rotate(t.rotation(first, at(2*hour)))
		when := at(2*hour - before)
		_, err := t.st.Rotate(t.Context(), t.rotation(first, when))
		t.refused(fmt.Sprintf("%v before it was spent, without grace", before), store.ErrUsed, err)
		t.revoked("the successor", when, second)
	}
}
