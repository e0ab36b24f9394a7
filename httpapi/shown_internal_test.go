package httpapi

import (
	"encoding/json"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/activity"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
)

// The functions below fill the types that the document of OpenAPI is made of.
// encoding/json makes of them what the handlers append.

// showUser shows a user to p.
func (a *api) showUser(p *auth.Principal, u store.User) user {
	path := userPath(u.ID)
	related := map[string]string{}
	for _, l := range userLinks {
		if l.when(a) {
			related[l.name] = path + l.name + "/"
		}
	}
	shown := user{
		ID:              userID(u.ID),
		Type:            "user",
		URL:             path,
		Related:         related,
		Created:         timestamp(u.Created),
		Modified:        timestamp(u.Created),
		Username:        u.Name,
		FirstName:       u.FirstName,
		LastName:        u.LastName,
		Email:           u.Email,
		IsSuperuser:     u.Admin,
		IsSystemAuditor: u.Auditor,
		IsActive:        u.Active,
		IsService:       u.Service,
	}
	if !u.Service {
		shown.Password = userMask
	}
	if a.Accounts != nil {
		shown.Summary.Capabilities.Edit = a.Accounts.MayChange(p, u)
		shown.Summary.Capabilities.Delete = a.Accounts.MayDelete(p, u)
	}
	return shown
}

func (a *api) showToken(t store.Token, of parties, secrets tokenSecrets) token {
	path := tokenPath(t.ID)
	shown := token{
		ID:          t.ID,
		Type:        "o_auth2_access_token",
		URL:         path,
		Related:     map[string]string{},
		Created:     timestamp(t.Created),
		Modified:    timestamp(t.Modified),
		Description: t.Description,
		User:        userID(t.UserID),
		Token:       mask,
		Expires:     timestamp(t.Expires),
		Scope:       t.Scopes,
		LastUsed:    timestamp(t.LastUsed),
		Addresses:   append([]netip.Prefix{}, t.Addresses...), // never null
	}
	if a.Activity != nil {
		shown.Related["activity_stream"] = path + "activity_stream/"
	}
	if t.ParentID != 0 {
		shown.Parent = &t.ParentID
	}
	if secrets.access != "" {
		shown.Token = secrets.access.Reveal()
	}
	if t.Refresh.Digest != (store.Digest{}) {
		refresh := mask
		if secrets.refresh != "" {
			refresh = secrets.refresh.Reveal()
		}
		shown.RefreshToken = &refresh
	}
	if t.UserID != "" {
		shown.Related["user"] = userPath(t.UserID)
		shown.Summary.User = &userSummary{userID(of.owner.ID), of.owner.Name, of.owner.FirstName, of.owner.LastName}
	}
	if t.ApplicationID != 0 {
		shown.Application = &t.ApplicationID
		shown.Related["application"] = applicationPath(t.ApplicationID)
		shown.Summary.Application = &applicationRefSummary{t.ApplicationID, of.application}
	}
	return shown
}

// showApplication returns the representation of an application with its
// summary.
func (a *api) showApplication(app store.Application, summary applicationSummary, secret auth.Secret) application {
	path := applicationPath(app.ID)
	shown := application{
		ID:   app.ID,
		Type: "o_auth2_application",
		URL:  path,
		Related: map[string]string{
			"tokens":       path + "tokens/",
			"organization": "/api/v2/organizations/" + strconv.FormatInt(app.OrganizationID, 10) + "/",
		},
		Summary:      summary,
		Created:      timestamp(app.Created),
		Modified:     timestamp(app.Modified),
		Name:         app.Name,
		Description:  app.Description,
		ClientID:     app.ClientID,
		ClientType:   oauth.ClientPublic,
		RedirectURIs: strings.Join(app.RedirectURIs, " "),
		GrantType:    app.GrantType,
		SkipConsent:  app.SkipConsent,
		RequirePKCE:  a.OAuth.RequiresPKCE(app),
		Resource:     app.Resource,
		Organization: app.OrganizationID,
	}
	if a.Activity != nil {
		shown.Related["activity_stream"] = path + "activity_stream/"
	}
	if app.Confidential {
		shown.ClientType, shown.ClientSecret = oauth.ClientConfidential, mask
		if secret != "" {
			shown.ClientSecret = secret.Reveal()
		}
	}
	return shown
}

func showSession(s store.Session, current int64) sessionShown {
	path := userPath(s.UserID)
	shown := sessionShown{
		ID:       s.ID,
		Type:     "session",
		URL:      path + "sessions/" + strconv.FormatInt(s.ID, 10) + "/",
		Related:  map[string]string{"user": path},
		User:     userID(s.UserID),
		Created:  timestamp(s.Created),
		LastSeen: timestamp(s.Seen),
		Expires:  timestamp(s.Expires),
		Browser:  s.Agent,
		Current:  s.ID == current,
	}
	if s.Address.IsValid() {
		address := s.Address.String()
		shown.Address = &address
	}
	return shown
}

// FuzzTexts holds that tokens, applications, sessions and lists of them are written
// as encoding/json writes them, whatever their texts are.
func FuzzTexts(f *testing.F) {
	f.Add("1", "alice", "Al\"ice", "<&>\\", int64(1), int64(2), uint16(0), []byte{192, 0, 2, 0, 24})
	f.Add("", "\u2028ü\x7f", "\x00\n\t", "\xff\xc0", int64(0), int64(0), uint16(0xffff), []byte("2001:db8::1/16 bytes"))
	f.Add("9007199254740993", "~ !", "\u2029", "\xe2\x80", int64(-1), int64(1785484800123456), uint16(0x155), []byte{})
	f.Add("a&b/c%é", "\u2028\u2029", "\xed\xa0\x80", "é", int64(1<<62), int64(-62135596800000000), uint16(0x2aa), []byte{1})
	f.Fuzz(func(t *testing.T, id, one, two, three string, number, at int64, bits uint16, address []byte) {
		bit := func(n int) bool { return bits>>n&1 != 0 }
		a := &api{Config: Config{OAuth: new(oauth.Server)}}
		if bit(0) {
			a.Activity = new(activity.Stream)
		}
		var when time.Time
		if at != 0 {
			when = time.UnixMicro(at % (1 << 57)) // within the years that JSON has
		}
		secrets := tokenSecrets{}
		if bit(1) {
			secrets = tokenSecrets{access: auth.Secret(one), refresh: auth.Secret(two)}
		}

		tok := store.Token{ID: number, UserID: id, Description: two, Scopes: three, Created: when, Expires: when, LastUsed: when}
		of := parties{&store.User{ID: id, Name: one, FirstName: two, LastName: three}, three}
		if bit(2) {
			tok.ApplicationID, tok.ParentID = number, number
		}
		if bit(3) {
			tok.Refresh.Digest[0] = 1
		}
		addr, known := netip.AddrFromSlice(address)
		if known {
			tok.Addresses = []netip.Prefix{netip.PrefixFrom(addr, 8), netip.PrefixFrom(addr, 0)}
		} else if len(address) > 0 {
			tok.Addresses = []netip.Prefix{{}}
		}

		app := store.Application{
			ID: number, Name: one, Description: two, ClientID: three, GrantType: two, Resource: one, OrganizationID: number,
			Created: when, Confidential: bit(4), SkipConsent: bit(5), RedirectURIs: strings.Split(three, "/"),
		}
		summary := applicationSummary{}
		summary.Capabilities.Edit, summary.Capabilities.Delete = bit(6), bit(7)
		summary.Tokens.Results = []listedTokenRef{}
		if bit(8) {
			summary.Organization = &organizationSummary{number, one, two}
			summary.Tokens.Count, summary.Tokens.Results = 7, []listedTokenRef{{number, mask, one}, {1, mask, ""}}
		}

		session := store.Session{ID: number, UserID: id, Created: when, Seen: when, Expires: when, Agent: one, Address: addr}

		tokens := []token{}
		e := &envelope[tokenOf]{Count: int(number), Results: []tokenOf{}}
		for range len(address) % 4 {
			tokens, e.Results = append(tokens, a.showToken(tok, of, secrets)), append(e.Results, tokenOf{&tok, of})
		}
		if bit(9) {
			e.Next = &one
		}
		if bit(10) {
			e.Previous = &two
		}
		q := &listQuery{}
		var listed any = envelope[token]{e.Count, e.Next, e.Previous, tokens}
		if bit(11) {
			q.values = map[string][]string{"count_disabled": {""}}
			listed = map[string][]token{"results": tokens}
		}
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/", nil)
		err := writeList(w, r, q, e, func(b []byte, t tokenOf) []byte { return a.appendToken(b, t.token, t.of, secrets) })
		if err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			want any
			got  []byte
		}{
			{one, appendJSON(nil, one)},
			{a.showToken(tok, of, secrets), a.appendToken(nil, &tok, of, secrets)},
			{a.showApplication(app, summary, secrets.access), a.appendApplication(nil, app, summary, secrets.access)},
			{showSession(session, 1), appendSession(nil, session, 1)},
			{listed, w.Body.Bytes()},
		} {
			want, err := json.Marshal(tt.want)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(tt.got)); diff != "" {
				t.Errorf("(-encoding/json +appended):\n%s", diff)
			}
		}
	})
}
