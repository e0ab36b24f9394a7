package trustedproxy

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
)

func TestCheckedBody(t *testing.T) {
	content := []byte(strings.Repeat("0123456789", 500))
	ways := map[string]func(io.Reader) io.Reader{
		"whole":             func(r io.Reader) io.Reader { return r },
		"byte by byte":      iotest.OneByteReader,
		"half of it":        iotest.HalfReader,
		"end with the data": iotest.DataErrReader,
		"both":              func(r io.Reader) io.Reader { return iotest.DataErrReader(iotest.OneByteReader(r)) },
	}
	for name, way := range ways {
		for _, length := range []int{1, 2, 10, len(content)} {
			open := func(sent []byte) io.Reader {
				d, err := parseDigest([]string{ContentDigest(content[:length])})
				if err != nil {
					t.Fatal(err)
				}
				return &checkedBody{ReadCloser: io.NopCloser(way(bytes.NewReader(sent))), digest: d}
			}
			if err := iotest.TestReader(open(content[:length]), content[:length]); err != nil {
				t.Errorf("%s, %d bytes: %v", name, length, err)
			}
			for what, sent := range map[string][]byte{
				"longer":  append(bytes.Clone(content[:length]), ' '),
				"shorter": content[:length-1],
				"other":   append(bytes.Clone(content[:length-1]), 'x'),
			} {
				got, err := io.ReadAll(open(sent))
				if !errors.Is(err, ErrContent) {
					t.Errorf("%s, %d bytes, %s: %v", name, length, what, err)
				}
				if len(got) >= len(sent) && len(sent) > 0 {
					t.Errorf("%s, %d bytes, %s: all %d bytes were handed out", name, length, what, len(got))
				}
			}
		}
	}
	down := errors.New("down")
	d, _ := parseDigest([]string{ContentDigest(content)})
	body := &checkedBody{ReadCloser: io.NopCloser(io.MultiReader(bytes.NewReader(content[:7]), iotest.ErrReader(down))), digest: d}
	if got, err := io.ReadAll(body); string(got) != "0123456" || !errors.Is(err, down) {
		t.Errorf("a body that breaks off: %q, %v", got, err)
	}
}

// Whatever a field says, a body is either what its digest says or refused.
func FuzzContentDigest(f *testing.F) {
	for _, s := range []string{"", "sha-256=:x:", "sha-512=::", ContentDigest(nil), ContentDigest([]byte("a")), "md5=:x:, " + ContentDigest([]byte("a")), ",,=", "sha-256", `a="b,c"`} {
		f.Add(s, []byte("a"))
	}
	f.Fuzz(func(t *testing.T, field string, content []byte) {
		r := &http.Request{Header: http.Header{FieldDigest: {field}}, Body: io.NopCloser(bytes.NewReader(content)), ContentLength: -1}
		body, err := checkBody(r, 1<<20, true)
		if (err == nil) && !strings.Contains(field, "sha-") {
			t.Fatalf("%q: no error", field)
		}
		if body == nil {
			return
		}
		if got, _ := io.ReadAll(body); !bytes.Equal(got, content) {
			t.Fatalf("%q: the body became %q", field, got)
		}
		r.Header.Set(FieldDigest, ContentDigest(content))
		r.Body = io.NopCloser(bytes.NewReader(content))
		if _, err := checkBody(r, 1<<20, true); err != nil {
			t.Fatalf("the right digest of %q: %v", content, err)
		}
	})
}
