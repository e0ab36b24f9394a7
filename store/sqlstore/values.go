package sqlstore

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ostiary/auth/store"
)

// errText refuses text that no caller may pass. It is refused here, because
// drivers and databases treat it in different ways.
var errText = errors.New("sqlstore: text with NUL or invalid UTF-8")

// checkText refuses arguments that must not reach a driver.
func checkText(args []any) error {
	for _, a := range args {
		if s, ok := a.(string); ok && (!utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0) {
			return errText
		}
	}
	return nil
}

// micros returns t as it is stored where there always is a time.
func micros(t time.Time) int64 { return t.UnixMicro() }

// ending is micros for the time of an end. The zero time, too, is one, and what has
// ended must not come back as what never does.
func ending(t time.Time) int64 { return notNever(micros(t)) }

// notNever returns an instant, or else the first one that does not mean never.
func notNever(at int64) int64 {
	if never := micros(time.Time{}); at == never {
		return never + 1
	}
	return at
}

// orNever returns t as it is stored where there may be none.
func orNever(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// stored returns t as it comes back.
func stored(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return time.UnixMicro(t.UnixMicro()).UTC()
}

func bytesOf(d store.Digest) []byte { return d[:] }

// orNone returns d as it is stored where there may be none.
func orNone(d [32]byte) any {
	if d == ([32]byte{}) {
		return nil
	}
	return d[:]
}

// A whenVar scans microseconds, or NULL for never.
type whenVar time.Time

func (v *whenVar) Scan(src any) error {
	var n int64
	switch src := src.(type) {
	case nil:
		*v = whenVar{}
		return nil
	case int64:
		n = src
	case []byte: // MySQL, where the driver did not prepare the statement
		var err error
		if n, err = strconv.ParseInt(string(src), 10, 64); err != nil {
			return errors.New("not a time")
		}
	default:
		return fmt.Errorf("a %T is not a time", src)
	}
	*v = whenVar(time.UnixMicro(n).UTC())
	return nil
}

// when lets a column be scanned into t.
func when(t *time.Time) *whenVar { return (*whenVar)(t) }

// A digestVar scans 32 bytes, or NULL for none.
type digestVar [32]byte

func (v *digestVar) Scan(src any) error {
	if src == nil {
		*v = digestVar{}
		return nil
	}
	b, ok := src.([]byte)
	if !ok || len(b) != len(v) {
		return errors.New("not 32 bytes")
	}
	copy(v[:], b)
	return nil
}

// A prefixesVar scans prefixes separated by spaces.
type prefixesVar []netip.Prefix

func (v *prefixesVar) Scan(src any) error {
	text, err := textOf(src)
	if err != nil {
		return err
	}
	*v = nil
	for field := range strings.FieldsSeq(text) {
		p, err := netip.ParsePrefix(field)
		if err != nil {
			return err
		}
		*v = append(*v, p)
	}
	return nil
}

func prefixesText(list []netip.Prefix) (string, error) {
	var b []byte
	for i, p := range list {
		if !p.IsValid() {
			return "", errors.New("sqlstore: invalid address prefix")
		}
		if i > 0 {
			b = append(b, ' ')
		}
		b = p.AppendTo(b)
	}
	return string(b), nil
}

// An addressVar scans an address, or NULL or "" for none.
type addressVar netip.Addr

func (v *addressVar) Scan(src any) error {
	*v = addressVar{}
	if src == nil {
		return nil
	}
	text, err := textOf(src)
	if err != nil || text == "" {
		return err
	}
	addr, err := netip.ParseAddr(text)
	*v = addressVar(addr)
	return err
}

// addressText returns addr as it is stored, "" for none.
func addressText(addr netip.Addr) string {
	if !addr.IsValid() {
		return ""
	}
	return addr.String()
}

// A listVar scans a JSON list of strings.
type listVar []string

func (v *listVar) Scan(src any) error {
	text, err := textOf(src)
	if err != nil {
		return err
	}
	*v = nil
	if text == "" {
		return nil
	}
	return json.Unmarshal([]byte(text), (*[]string)(v))
}

func listText(list []string) (string, error) {
	if len(list) == 0 {
		return "", nil
	}
	args := make([]any, len(list))
	for i, s := range list {
		args[i] = s
	}
	if err := checkText(args); err != nil {
		return "", err // Marshal would replace it
	}
	b, err := json.Marshal(list)
	return string(b), err
}

func textOf(src any) (string, error) {
	switch src := src.(type) {
	case string:
		return src, nil
	case []byte:
		return string(src), nil
	}
	return "", fmt.Errorf("a %T is not text", src)
}
