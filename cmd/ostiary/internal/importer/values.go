package importer

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A words scans a text, or NULL for "".
type words string

func (v *words) Scan(src any) error {
	switch src := src.(type) {
	case nil:
		*v = ""
	case string:
		*v = words(src)
	case []byte:
		*v = words(src)
	default:
		*v = words(fmt.Sprint(src)) // SQLite keeps what it was given
	}
	return nil
}

// fits reports whether a store can keep the text.
func (v words) fits() bool { return utf8.ValidString(string(v)) && strings.IndexByte(string(v), 0) < 0 }

// A flag scans a boolean, or NULL for false.
type flag bool

func (v *flag) Scan(src any) error {
	switch src := src.(type) {
	case nil:
		*v = false
	case bool:
		*v = flag(src)
	case int64:
		*v = src != 0
	default:
		b, err := strconv.ParseBool(fmt.Sprintf("%s", src))
		*v = flag(b)
		return err
	}
	return nil
}

// A number scans an ID, or NULL for 0.
type number int64

func (v *number) Scan(src any) error {
	switch src := src.(type) {
	case nil:
		*v = 0
	case int64:
		*v = number(src)
	default:
		return fmt.Errorf("an ID is %T and not a number", src)
	}
	return nil
}

// A when scans a time, or NULL for the zero time.
type when struct {
	time.Time
	bad bool // neither
}

// layouts are how Django writes times to SQLite, which knows none.
var layouts = []string{"2006-01-02 15:04:05.999999", "2006-01-02 15:04:05.999999Z07:00", "2006-01-02 15:04:05.999999-07", time.RFC3339Nano, "2006-01-02"}

func (v *when) Scan(src any) error {
	*v = when{}
	switch src := src.(type) {
	case nil:
	case time.Time:
		v.Time = src
	case string:
		v.parse(src)
	case []byte:
		v.parse(string(src))
	default:
		v.bad = true
	}
	v.Time = v.Truncate(time.Microsecond).UTC()
	return nil
}

func (v *when) parse(s string) {
	for _, layout := range layouts {
		t, err := time.Parse(layout, s)
		if err == nil {
			v.Time = t
			return
		}
	}
	v.bad = true
}

// earliest returns the earlier of two times.
func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// seconds returns a lifetime, of which the longest is maxLifetime: AWX's 1000 years
// do not fit a Duration.
func seconds(n int64) time.Duration {
	return time.Duration(min(n, int64(maxLifetime/time.Second))) * time.Second
}
