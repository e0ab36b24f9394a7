package trustedproxy

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"hash"
	"io"
	"net/http"
	"strings"

	"github.com/ostiary/auth/internal/ascii"
)

// FieldDigest is the field with a digest of the content (RFC 9530 section 2).
const FieldDigest = "Content-Digest"

// ContentDigest returns the value of [FieldDigest] for content.
func ContentDigest(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}

// A digest is a digest of content that a request claims.
type digest struct {
	sum  hash.Hash
	want []byte
}

// good reports whether the bytes that were written to the hash are the content.
func (d *digest) good() bool { return subtle.ConstantTimeCompare(d.sum.Sum(nil), d.want) == 1 }

// parseDigest reads the lines of a Content-Digest. It returns nil if there is no
// digest by an algorithm that is known and good, and an error if one that is known
// is malformed or stands there twice.
func parseDigest(lines []string) (*digest, error) {
	found := make(map[string]*digest, 2)
	for _, line := range lines {
		for member := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(ascii.TrimOWS(member), "=")
			d := &digest{}
			switch name {
			case "sha-256":
				d.sum = sha256.New()
			case "sha-512":
				d.sum = sha512.New()
			default:
				continue // RFC 9530 section 5: unknown ones are passed over, insecure ones are not used
			}
			text, ok := strings.CutPrefix(value, ":")
			if ok {
				text, ok = strings.CutSuffix(text, ":")
			}
			var err error
			if d.want, err = base64.StdEncoding.Strict().DecodeString(text); !ok || err != nil || len(d.want) != d.sum.Size() || found[name] != nil {
				return nil, errDigest
			}
			found[name] = d
		}
	}
	if d := found["sha-512"]; d != nil {
		return d, nil
	}
	return found["sha-256"], nil
}

// ErrContent is what the reader of a body returns at its end if the content is not
// that of the digest.
var ErrContent = errors.New("auth: the body of the request is not what the gateway has signed")

// checkBody holds the body of r against its Content-Digest, which the proof of r
// covers. It returns what takes the place of r.Body, or nil. Up to limit bytes are
// read and checked at once, and a longer body is an error; for a limit of 0 the
// reader checks as it is read.
func checkBody(r *http.Request, limit int64, required bool) (io.ReadCloser, error) {
	d, err := parseDigest(r.Header[FieldDigest])
	switch {
	case err != nil:
		return nil, err
	case d == nil && required:
		return nil, errNoDigest
	case d == nil:
		return nil, nil
	case r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0:
		if !d.good() {
			return nil, errContent
		}
		return nil, nil
	case limit <= 0:
		return &checkedBody{ReadCloser: r.Body, digest: d}, nil
	}
	content, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	whole := err == nil && int64(len(content)) <= limit
	// The handlers get the request whatever is wrong with it, and so its body.
	read := readAgain{io.MultiReader(bytes.NewReader(content), r.Body), r.Body}
	d.sum.Write(content)
	switch {
	case err != nil:
		read.Reader = io.MultiReader(bytes.NewReader(content), failing{err})
		return read, errContent
	case !whole:
		return read, errTooLong
	case !d.good():
		return read, errContent
	}
	return read, nil
}

// readAgain is a body of which some has been read already.
type readAgain struct {
	io.Reader
	io.Closer
}

// failing is a reader that failed before.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// checkedBody is a body that fails at its end unless its content is the one that
// was signed. It reads one byte ahead, so that the bytes before a bad end are not
// handed out: a decoder might be content with them.
type checkedBody struct {
	io.ReadCloser
	digest *digest
	ahead  []byte // read, but not handed out yet
	err    error
}

func (b *checkedBody) Read(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	n = copy(p, b.ahead)
	b.ahead = b.ahead[n:]
	for n == 0 && b.err == nil {
		n = b.read(p)
	}
	if b.err == nil {
		var next [1]byte
		b.ahead = append(b.ahead[:0], next[:b.read(next[:])]...)
	}
	switch {
	case b.err == ErrContent:
		b.ahead = nil
		return 0, ErrContent
	case len(b.ahead) > 0:
		return n, nil // whatever the end was, it comes after this byte
	}
	return n, b.err
}

// read reads what comes next and keeps how it ended.
func (b *checkedBody) read(p []byte) int {
	n, err := b.ReadCloser.Read(p)
	b.digest.sum.Write(p[:n])
	if err == io.EOF && !b.digest.good() {
		err = ErrContent
	}
	b.err = err
	return n
}
