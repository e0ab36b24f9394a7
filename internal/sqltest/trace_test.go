package sqltest

import (
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// A call is a system call of a program that changes a file or tells somebody
// something.
type call struct {
	name   string
	fd     string
	path   string
	data   []byte
	at     int64 // where it is written, or the new length
	failed bool
	begun  int // number of the moment
	ended  int // 0 where it never did
}

// A moment is when a call begins or ends.
type moment struct {
	call *call
	end  bool
}

// underStrace returns the beginning of a command that runs another program and
// writes a trace to a file for parseTrace. Not every machine has all calls.
func underStrace(trace string, options ...string) []string {
	return append([]string{"strace", "-f", "--seccomp-bpf", "-o", trace, "-y", "-xx", "-s", "1000000", "-e", "signal=none",
		"-e", "trace=write,pwrite64,ftruncate,fsync,fdatasync,?unlink,unlinkat," +
			// The others that can change a file are refused.
			"writev,pwritev,pwritev2,truncate,fallocate,copy_file_range,?rename,?renameat,renameat2,sync_file_range"}, options...)
}

var callEnds = regexp.MustCompile(`\) += (-?\d+)`)

// parseTrace returns what happened, in order.
func parseTrace(t *testing.T, trace []byte) []moment {
	t.Helper()
	var all []moment
	open := map[string]*call{} // by thread
	for line := range strings.Lines(string(trace)) {
		thread, text, _ := strings.Cut(line, " ")
		text = strings.TrimLeft(text, " ")
		if strings.HasPrefix(text, "+++") { // the thread or the program has ended
			continue
		}
		if !strings.HasPrefix(text, "<...") {
			c := parseCall(t, text)
			c.begun, open[thread] = len(all), c
			all = append(all, moment{c, false})
		}
		// Data, which is long and has quotes around it, is not looked at.
		if m := callEnds.FindStringSubmatch(text[strings.LastIndexByte(text, '"')+1:]); m != nil {
			c := open[thread]
			c.failed, c.ended = m[1][0] == '-', len(all)
			all = append(all, moment{c, true})
		}
	}
	return all
}

// parseCall reads the beginning of a call, such as
//
//	pwrite64(6<\x2f\x61>, "\x00\x01", 2, 4096
func parseCall(t *testing.T, text string) *call {
	t.Helper()
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(strings.ReplaceAll(s, `\x`, ""))
		if err != nil {
			t.Fatalf("trace: %.100s: %v", text, err)
		}
		return b
	}
	before, rest, quoted := strings.Cut(text, `"`)
	data, after, _ := strings.Cut(rest, `"`)
	name, rest, _ := strings.Cut(before, "(")
	if name == "unlink" || name == "unlinkat" {
		return &call{name: "unlink", path: string(unhex(data))}
	}
	c := &call{name: name}
	fd, rest, _ := strings.Cut(rest, "<")
	path, numbers, _ := strings.Cut(rest, ">")
	c.fd, c.path = fd, string(unhex(path))
	if quoted {
		c.data, numbers = unhex(data), after
	}
	var n int64
	var err error
	switch name {
	case "write", "fsync", "fdatasync":
	case "ftruncate":
		_, err = fmt.Sscanf(numbers, ", %d", &c.at)
	case "pwrite64":
		_, err = fmt.Sscanf(numbers, ", %d, %d", &n, &c.at)
	default:
		err = errors.New("not known here")
	}
	if err != nil {
		t.Fatalf("trace: %.100s: %v", text, err)
	}
	return c
}
