package importer

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A lifetime is a flag for a time such as 12h or 30d.
type lifetime time.Duration

func (l *lifetime) String() string {
	d := time.Duration(*l)
	if d != 0 && d%day == 0 {
		return strconv.Itoa(int(d/day)) + "d"
	}
	return d.String()
}

func (l *lifetime) Set(text string) error {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseInt(days, 10, 32)
		if err != nil || n < -36500 || n > 36500 {
			return fmt.Errorf("%q is not a time such as 12h or 30d", text)
		}
		*l = lifetime(time.Duration(n) * day)
		return nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("%q is not a time such as 12h or 30d", text)
	}
	*l = lifetime(d)
	return nil
}

func (l *lifetime) Type() string { return "time" }
