package grpcauth

import (
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"

	"github.com/ostiary/auth/internal/header"
)

// FuzzAuthorization: a token is taken from one value, which says "Bearer", spaces
// and the token, and has nothing else. What is refused leaves no token behind.
func FuzzAuthorization(f *testing.F) {
	for _, s := range []string{"", "Bearer", "Bearer x", "bEARER  x==", "Bearer x, Bearer y", "Bearer x y", "Basic YTpi", "Bearer \x00", "Bearer x\n", "Bearer ſ"} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, value string, twice bool) {
		md := metadata.MD{"authorization": {value}}
		if twice {
			md.Append("authorization", value)
		}
		c := call{ctx: metadata.NewIncomingContext(t.Context(), md)}
		err := c.bearer()
		fields := strings.Fields(value)
		could := !twice && len(fields) == 2 && header.IsScheme(fields[0], "bearer") && len(fields[1]) <= maxToken
		if (err == nil) != (c.token != "") || err == nil && (!could || fields[1] != c.token || !strings.HasSuffix(value, c.token)) {
			t.Errorf("%q: token %q, error %v", value, c.token, err)
		}
	})
}
