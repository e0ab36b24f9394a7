package auth_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log"
	"net/http"
	"net/url"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// The authorization code grant with PKCE, and what becomes of a code that is used
// twice. Package httpapi does all this behind /api/o/.
func ExampleTokens_Exchange() {
	db := memory.New()
	ctx := context.Background()
	admin := auth.Must(db.InsertUser(ctx, store.User{Name: "admin", Admin: true, Active: true}))
	by := &auth.Principal{ID: admin.ID, Name: admin.Name, Admin: true, Scopes: auth.Unrestricted}
	tokens := auth.Must(auth.NewTokens(db, db, &auth.TokensOptions{Issuer: "https://api.example", Logger: quiet}))
	apps := auth.Must(auth.NewApplications(tokens, db, &auth.ApplicationsOptions{Logger: quiet}))

	// Once: somebody registers the application.
	app := auth.Must(apps.Create(ctx, by, auth.ApplicationRequest{
		Name: "dashboard", OrganizationID: 1, ClientType: auth.ClientPublic,
		GrantType: auth.GrantAuthorizationCode, RedirectURIs: []string{"https://dash.example/callback"},
	}))

	// The application sends the browser, and the user agrees.
	const verifier = "a-secret-of-the-application-with-43-letters-or-more"
	challenge := sha256.Sum256([]byte(verifier))
	request, err := tokens.ParseAuthorization(ctx, url.Values{
		"response_type": {"code"}, "client_id": {app.ClientID}, "scope": {"read"}, "state": {"xyz"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	})
	if err != nil {
		log.Fatal(err)
	}
	redirect := auth.Must(url.Parse(auth.Must(tokens.Authorize(ctx, by, request))))
	fmt.Println(redirect.Host, redirect.Query().Get("state"), redirect.Query().Get("iss"))

	// The application redeems the code.
	client := auth.Must(apps.Authenticate(ctx, http.Header{}, url.Values{"client_id": {app.ClientID}}))
	exchange := auth.CodeExchange{Code: redirect.Query().Get("code"), Verifier: verifier}
	issued := auth.Must(tokens.Exchange(ctx, client, exchange))
	p := auth.Must(tokens.Verify(ctx, issued.AccessToken.Reveal()))
	fmt.Println(p.Name, p.Scopes)

	// Whoever uses it again ends what was issued for it.
	_, err = tokens.Exchange(ctx, client, exchange)
	fmt.Println(err)
	_, err = tokens.Verify(ctx, issued.AccessToken.Reveal())
	fmt.Println(err)
	// Output:
	// dash.example xyz https://api.example
	// admin read
	// auth: The grant is invalid, expired, used or revoked, or was issued to another client.
	// auth: The access token is invalid or revoked.
}

// A device without a keyboard asks for a token (RFC 8628).
func ExampleNewDevices() {
	db := memory.New()
	ctx := context.Background()
	admin := auth.Must(db.InsertUser(ctx, store.User{Name: "admin", Admin: true, Active: true}))
	by := &auth.Principal{ID: admin.ID, Name: admin.Name, Admin: true, Scopes: auth.Unrestricted}
	tokens := auth.Must(auth.NewTokens(db, db, &auth.TokensOptions{Logger: quiet}))
	apps := auth.Must(auth.NewApplications(tokens, db, &auth.ApplicationsOptions{Logger: quiet}))
	devices := auth.Must(auth.NewDevices(tokens, db, nil))
	app := auth.Must(apps.Create(ctx, by, auth.ApplicationRequest{
		Name: "wall display", OrganizationID: 1, ClientType: auth.ClientPublic, GrantType: auth.GrantDeviceCode,
	})).Application

	scope := "read"
	started := auth.Must(devices.Start(ctx, app, &scope, nil))
	fmt.Println("the display shows a code of", len(started.UserCode), "characters")

	request := auth.Must(devices.Find(ctx, by, started.UserCode)) // the user types it in
	fmt.Println(request.Application.Name, "asks for", request.Scopes)
	if err := devices.Decide(ctx, by, request, true); err != nil {
		log.Fatal(err)
	}
	issued := auth.Must(devices.Exchange(ctx, app, started.DeviceCode.Reveal()))
	fmt.Println(auth.Must(tokens.Verify(ctx, issued.AccessToken.Reveal())).Name)
	// Output:
	// the display shows a code of 9 characters
	// wall display asks for read
	// admin
}
