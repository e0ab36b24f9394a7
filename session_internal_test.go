package auth

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

func TestCodecRoundTrip(t *testing.T) {
	deadline := time.Date(2026, 2, 3, 4, 5, 6, 789_000, time.UTC)
	for name, values := range map[string]map[string]any{
		"no values": {},
		"values":    {"s": "x", "i": 7, "b": []byte{0, 1}, "t": true, "f": 1.5, "time": deadline.Unix()},
	} {
		b, err := codec{}.Encode(deadline, values)
		if err != nil {
			t.Fatal(err)
		}
		gotDeadline, got, err := codec{}.Decode(b)
		if err != nil || !gotDeadline.Equal(deadline) || !reflect.DeepEqual(got, values) {
			t.Errorf("%s: %v, %v, %v", name, gotDeadline, got, err)
		}
		if len(values) == 0 && len(b) != codecHeader {
			t.Errorf("%s take %d bytes", name, len(b))
		}
		for n := range len(b) {
			if _, _, err := (codec{}).Decode(b[:n]); err == nil && n != codecHeader {
				t.Errorf("%s: the first %d bytes of %d decode", name, n, len(b))
			}
		}
		if _, _, err := (codec{}).Decode(append(b, 0)); err == nil {
			t.Errorf("%s: a byte too many decodes", name)
		}
		if !holdsValues(b, values) || holdsValues(append(b, 0), values) {
			t.Errorf("%s: not known to be stored, or with a byte too many", name)
		}
	}
	if _, err := (codec{}).Encode(deadline, map[string]any{"f": func() {}}); err == nil {
		t.Error("a function was encoded")
	}
	if _, err := (codec{}).Encode(deadline, map[string]any{"big": strings.Repeat("x", maxSessionData)}); err == nil {
		t.Error("more was encoded than may be decoded")
	}
}

// The merge keeps what each request changed, and drops what either dropped.
func TestMergeValues(t *testing.T) {
	encode := func(values map[string]any) []byte {
		b, err := codec{}.Encode(time.Time{}, values)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	type m = map[string]any
	for _, tt := range []struct {
		name                     string
		base, mine, theirs, want m
	}{
		{"nothing", m{}, m{}, m{}, m{}},
		{"mine", m{}, m{"a": 1}, m{}, m{"a": 1}},
		{"theirs", m{}, m{}, m{"a": 1}, m{"a": 1}},
		{"both", m{}, m{"a": 1}, m{"b": 2}, m{"a": 1, "b": 2}},
		{"the same key: the last one", m{}, m{"a": 1}, m{"a": 2}, m{"a": 1}},
		{"I dropped it", m{"a": 1}, m{}, m{"a": 1}, m{}},
		{"they dropped it", m{"a": 1}, m{"a": 1}, m{}, m{}},
		{"they changed it", m{"a": 1}, m{"a": 1}, m{"a": 2}, m{"a": 2}},
		{"I dropped what they changed", m{"a": 1}, m{}, m{"a": 2}, m{}},
	} {
		b, err := mergeValues(encode(tt.base), encode(tt.mine), encode(tt.theirs))
		if err != nil {
			t.Fatal(err)
		}
		if _, got, err := (codec{}).Decode(b); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %v, %v; want %v", tt.name, got, err, tt.want)
		}
	}
}

// FuzzSessionCodec: any bytes decode to values or an error; what decodes encodes
// to something that decodes to the same.
func FuzzSessionCodec(f *testing.F) {
	for _, values := range []map[string]any{nil, {"a": "b"}, {"n": 1, "m": map[string]string{"x": "y"}, "l": []string{"z"}}} {
		b, _ := codec{}.Encode(time.Unix(1e9, 0), values)
		f.Add(b)
	}
	f.Add([]byte{})
	f.Add([]byte("garbage"))
	f.Add(append([]byte{1, 0, 0, 0, 0, 0, 0, 0, 0}, 0xff, 0xff, 0xff))
	f.Fuzz(func(t *testing.T, b []byte) {
		deadline, values, err := codec{}.Decode(b)
		if err != nil {
			if values != nil {
				t.Fatalf("%v beside %v", values, err)
			}
			return
		}
		again, err := codec{}.Encode(deadline, values)
		if err != nil {
			return // gob decodes some values that it does not encode, such as nil
		}
		d, v, err := codec{}.Decode(again)
		if err != nil || !d.Equal(deadline) || len(v) != len(values) {
			t.Fatalf("%x decodes to %v, and that to %v, %v", b, values, v, err)
		}
		if !sameValues(again, again) || !bytes.Equal(again[:codecHeader], b[:codecHeader]) {
			t.Fatalf("%x encodes to %x", b, again)
		}
	})
}

// FuzzCookie holds cookieValue against net/http: where that has exactly one
// cookie of the name, with the value of an identifier, so has this, or there is
// a second one that net/http does not take for a cookie; and no identifier is
// found that net/http does not see.
func FuzzCookie(f *testing.F) {
	const name = "__Host-session"
	id := strings.Repeat("a", 43)
	for _, s := range []string{"", name + "=" + id, "a=1;" + name + "=" + id + ";b=2", name + "=x; " + name + "=" + id, " " + name + " =" + id, name + "=\"" + id + "\"", name, "=;=;=", name + "=" + id + "=", "\t" + name + "=" + id + "\t"} {
		f.Add(s, "")
		f.Add("x=y", s)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		lines := []string{a, b}
		value, n := cookieValue(lines, name)
		var theirs []string
		for _, c := range (&http.Request{Header: http.Header{"Cookie": lines}}).CookiesNamed(name) {
			theirs = append(theirs, c.Value)
		}
		if n == 1 && isSessionID(value) && (len(theirs) != 1 || theirs[0] != value) {
			t.Fatalf("%q: found %q, net/http has %q", lines, value, theirs)
		}
		if len(theirs) == 1 && isSessionID(theirs[0]) && n == 0 && !strings.ContainsAny(a+b, "\" \t\v\f\r\n\u0085\u00a0") {
			t.Fatalf("%q: found nothing, net/http has %q", lines, theirs)
		}
		if len(theirs) > 1 && n == 1 && isSessionID(value) {
			t.Fatalf("%q: one of %q was taken", lines, theirs)
		}
	})
}

// A printed context or writer has no identifier.
func TestStateDoesNotPrint(t *testing.T) {
	st := &sessionState{stored: &stored{token: "secret"}, request: &http.Request{Header: http.Header{"Cookie": {"secret"}}}}
	st.held.Store(&heldValues{data: []byte("secret")})
	at := &gatedState{sessionState: *st}
	var log bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		for _, same := range []any{st, at, (*sessionWriter)(st), (*withoutValues)(st), &loggingIn{sessionState: st}} {
			fmt.Fprintf(&log, verb, same)
		}
	}
	if strings.Contains(log.String(), "secret") || strings.Contains(log.String(), "115, 101") {
		t.Error(log.String())
	}
}

// endsMeanwhile is a store that calls a function when it has saved a session.
type endsMeanwhile struct {
	*memory.Store
	saved func()
}

func (s *endsMeanwhile) SaveSession(ctx context.Context, d store.Digest, data []byte, revision int64, at time.Time) error {
	defer s.saved()
	return s.Store.SaveSession(ctx, d, data, revision, at)
}

// The state that all requests without a session share stays empty, also if a goroutine
// ends the session of a request while another one saves it.
func TestNoSessionStaysEmpty(t *testing.T) {
	db := &endsMeanwhile{Store: memory.New()}
	s := Must(NewSession(db, db, &SessionOptions{Logger: slog.New(slog.DiscardHandler)}))
	cookie := ""
	for range 2 {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Cookie", cookie)
		w := httptest.NewRecorder()
		s.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			db.saved = func() { s.state(r.Context()).die(noCookie) }
			s.Manager().Put(r.Context(), "k", cookie)
		})).ServeHTTP(w, r)
		cookie, _, _ = strings.Cut(w.Header().Get("Set-Cookie"), ";")
	}
	if held := noSession.held.Load(); held != nil {
		t.Errorf("values %q", held.data)
	}
}

// The state of a request without a session, and with one, fills a size class of the
// allocator: one more byte would cost 32 or 64.
func TestStateSize(t *testing.T) {
	if n := unsafe.Sizeof(strangerState{}); n > 384 {
		t.Errorf("the state of a request without a session has %d bytes", n)
	}
	if n := unsafe.Sizeof(loadedState{}); n > 480 {
		t.Errorf("the state of a request with a session has %d bytes", n)
	}
	if n := unsafe.Sizeof(gatedState{}); n > 704-8 { // the allocator adds 8 above 512
		t.Errorf("the state of a request with a session at a gate has %d bytes", n)
	}
	if n := unsafe.Sizeof(unread{}); n > 576-8 {
		t.Errorf("what a request whose session is not read has takes %d bytes", n)
	}
}

// The room for a carrier is lent once, so that two gates that get one context have a
// request each.
func TestCarrierIsLentOnce(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	for _, ctx := range []context.Context{&gatedState{}, &unread{}} {
		a, b := carrying(incoming{r, ctx}, &Principal{Name: "a"}), carrying(incoming{r, ctx}, &Principal{Name: "b"})
		p, _ := FromContext(a.Context())
		if q, _ := FromContext(b.Context()); a == b || p.Name != "a" || q.Name != "b" {
			t.Errorf("%T: %q and %q", ctx, p.Name, q.Name)
		}
	}
}

// A session counts as known to be good in no other revision, and as no other session,
// whatever numbers the store gives.
func TestSoundValues(t *testing.T) {
	var none *soundValues
	none.add(1, 1)
	if none.has(1, 1) {
		t.Error("nothing knows a session")
	}
	type version struct{ id, revision int64 }
	all := []version{{0, 0}, {0, 1}, {1, 0}}
	for _, id := range []int64{1, 2, 1 + 4096, 1 << 24, 1<<24 | 1, 1<<40 - 1, 1 << 40, 1<<40 + 1, 1 << 62, -1} {
		for _, revision := range []int64{1, 2, 1<<24 - 1, 1 << 24, 1<<24 + 1, 1 << 48, -1} {
			all = append(all, version{id, revision})
		}
	}
	for _, known := range all {
		v := new(soundValues)
		v.add(known.id, known.revision)
		for _, x := range all {
			usual := x.id >= 0 && x.id < 1<<40 && x.revision > 0 && x.revision < 1<<24
			if v.has(x.id, x.revision) != (x == known && usual) {
				t.Errorf("%+v is known: %+v counts as known: %t", known, x, v.has(x.id, x.revision))
			}
		}
	}
}

// The field Session-Timeout is the same, whether it was made before or not, and what a
// handler appends to it stays in its response.
func TestSessionTimeouts(t *testing.T) {
	for _, tt := range []struct{ idle, touch time.Duration }{
		{time.Second, 100 * time.Millisecond},
		{90 * time.Minute, time.Minute},
		{1500 * time.Millisecond, 150 * time.Millisecond},
	} {
		made := newSessionTimeouts(tt.idle, tt.touch)
		for left := range seconds(tt.idle) + 2 {
			h := http.Header{"Session-Timeout": made.of(left)}
			h.Add("Session-Timeout", "x")
			if got := made.of(left); len(got) != 1 || got[0] != strconv.Itoa(left) || cap(got) != 1 {
				t.Fatalf("of %v: %d seconds are %q", tt.idle, left, got)
			}
		}
	}
}
