package sqlstore

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestSkewIsNoticedOnceInAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, log := openMute(t)
		lines := func() int { return strings.Count(log.String(), "\n") }
		ahead := func(d time.Duration) time.Time { return time.Now().Add(d) }
		s.noticeSkew("token", time.Time{}, ahead(-time.Hour), ahead(0), ahead(skewBound))
		if lines() != 0 {
			t.Fatalf("within the bound:\n%s", log)
		}
		for range 100 {
			s.noticeSkew("token", ahead(-time.Hour), ahead(10*time.Minute), time.Time{})
		}
		if text := log.String(); lines() != 1 || !strings.Contains(text, "ahead=10m0s") || !strings.Contains(text, "record=token") {
			t.Errorf("ten minutes apart:\n%s", text)
		}
		time.Sleep(skewInterval - time.Second)
		s.noticeSkew("session", ahead(time.Hour))
		if lines() != 1 {
			t.Errorf("too soon:\n%s", log)
		}
		time.Sleep(time.Second)
		s.noticeSkew("session", ahead(time.Hour))
		if lines() != 2 {
			t.Errorf("a while later:\n%s", log)
		}
	})
}
