package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// duration is the flag for a time. Beside Go's units it has days.
type duration struct {
	to  *time.Duration
	min time.Duration
}

// seconds is a duration of at least a second.
func seconds(to *time.Duration) *duration { return &duration{to, time.Second} }

// orNone is a duration that may be 0.
func orNone(to *time.Duration) *duration { return &duration{to, 0} }

func (d *duration) String() string {
	if d.to == nil || *d.to == 0 {
		return ""
	}
	const day = 24 * time.Hour
	if *d.to%day == 0 {
		return strconv.FormatInt(int64(*d.to/day), 10) + "d"
	}
	s := d.to.String() // 1h0m0s
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func (d *duration) Set(s string) error {
	const refusal = "write a time with its unit, such as 90s, 30m, 12h or 30d"
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil || n > 100*365 {
			return errors.New(refusal)
		}
		*d.to = time.Duration(n) * 24 * time.Hour
		return nil
	}
	t, err := time.ParseDuration(s)
	if err != nil {
		return errors.New(refusal)
	}
	*d.to = t
	return nil
}

// check refuses a time below the smallest.
func (d *duration) check() error {
	switch {
	case *d.to >= d.min:
		return nil
	case d.min == 0:
		return fmt.Errorf("%v is negative; write a time such as 30s or 5m", *d.to)
	case d.min == time.Second:
		return fmt.Errorf("%v is below a second; write a time such as 30m or 1h", *d.to)
	default:
		return fmt.Errorf("%v is below %v", *d.to, d.min)
	}
}

// count is the flag for a number of at least 1.
type count struct{ to *int }

func (c count) String() string {
	if c.to == nil || *c.to == 0 {
		return ""
	}
	return strconv.Itoa(*c.to)
}

func (c count) Set(s string) error {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < 1 {
		return errors.New("write a whole number of at least 1")
	}
	*c.to = int(n)
	return nil
}

// limit is the flag for attempts in a time.
type limit struct{ to *store.Limit }

func (l limit) String() string {
	if l.to == nil || l.to.Max == 0 {
		return ""
	}
	return strconv.Itoa(l.to.Max) + "/" + (&duration{to: &l.to.Window}).String()
}

func (l limit) Set(s string) error {
	number, window, ok := strings.Cut(s, "/")
	n := store.Limit{}
	if !ok || (count{&n.Max}).Set(number) != nil || seconds(&n.Window).Set(window) != nil || n.Window < time.Second {
		return errors.New("write how many in which time, such as 10/1m for ten a minute")
	}
	*l.to = n
	return nil
}

// list is the flag for words with commas in between. No word is no list.
type list struct{ to *[]string }

func (l list) String() string {
	if l.to == nil {
		return ""
	}
	return strings.Join(*l.to, ",")
}

func (l list) Set(s string) error {
	*l.to = nil
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			*l.to = append(*l.to, part)
		}
	}
	return nil
}

// minting is the flag for [auth.Minting].
type minting auth.Minting

var mintings = map[string]minting{
	"children":    minting(auth.MintChildren),
	"independent": minting(auth.InsecureMintIndependent),
}

func (m *minting) String() string {
	for name, value := range mintings {
		if value == *m {
			return name
		}
	}
	return ""
}

func (m *minting) Set(name string) error {
	value, ok := mintings[name]
	if !ok {
		return errors.New("must be children or independent")
	}
	*m = value
	return nil
}
