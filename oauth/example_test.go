package oauth_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// An authorization server that issues tokens of another resource, too, and has
// the device grant.
func ExampleNewServer() {
	db := memory.New()
	tokens := auth.Must(auth.NewTokens(db, db, nil))
	server, err := oauth.NewServer(tokens, db, db, &oauth.Options{
		Issuer:    "https://api.example",
		Resources: []string{"https://files.example/"},
		Devices:   &oauth.DeviceOptions{},
		Logger:    quiet,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(server.Issuer(), server.HasDevices())

	_, err = oauth.NewServer(tokens, db, db, &oauth.Options{Devices: &oauth.DeviceOptions{}})
	fmt.Println(err)
	// Output:
	// https://api.example true
	// oauth: Options.Devices needs Issuer: devices show its address
}

// The authorization code grant with PKCE, and a second use of the code. Package
// httpapi does all this behind /api/o/.
func ExampleServer_Exchange() {
	db := memory.New()
	ctx := context.Background()
	admin := auth.Must(db.InsertUser(ctx, store.User{Name: "admin", Admin: true, Active: true}))
	by := &auth.Principal{ID: admin.ID, Name: admin.Name, Admin: true, Scopes: auth.Unrestricted}
	tokens := auth.Must(auth.NewTokens(db, db, nil))
	server := auth.Must(oauth.NewServer(tokens, db, db, &oauth.Options{Issuer: "https://api.example", Logger: quiet}))

	// Once: somebody registers the application.
	app := auth.Must(server.CreateApplication(ctx, by, oauth.ApplicationRequest{
		Name: "dashboard", OrganizationID: 1, ClientType: oauth.ClientPublic,
		GrantType: oauth.GrantAuthorizationCode, RedirectURIs: []string{"https://dash.example/callback"},
	}))

	// The application sends the browser, and the user agrees.
	const verifier = "a-secret-of-the-application-with-43-letters-or-more"
	challenge := sha256.Sum256([]byte(verifier))
	request, err := server.ParseAuthorization(ctx, url.Values{
		"response_type": {"code"}, "client_id": {app.ClientID}, "scope": {"read"}, "state": {"xyz"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	})
	if err != nil {
		log.Fatal(err)
	}
	redirect := auth.Must(url.Parse(auth.Must(server.Authorize(ctx, by, request))))
	fmt.Println(redirect.Host, redirect.Query().Get("state"), redirect.Query().Get("iss"))

	// The application redeems the code.
	client := auth.Must(server.Authenticate(ctx, http.Header{}, url.Values{"client_id": {app.ClientID}}))
	exchange := oauth.CodeExchange{Code: redirect.Query().Get("code"), Verifier: verifier}
	issued := auth.Must(server.Exchange(ctx, client, exchange))
	p := auth.Must(tokens.Verify(ctx, issued.AccessToken.Reveal()))
	fmt.Println(p.Name, p.Scopes)

	// A second use ends its tokens.
	_, err = server.Exchange(ctx, client, exchange)
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
func ExampleServer_StartDevice() {
	db := memory.New()
	ctx := context.Background()
	admin := auth.Must(db.InsertUser(ctx, store.User{Name: "admin", Admin: true, Active: true}))
	by := &auth.Principal{ID: admin.ID, Name: admin.Name, Admin: true, Scopes: auth.Unrestricted}
	tokens := auth.Must(auth.NewTokens(db, db, nil))
	server := auth.Must(oauth.NewServer(tokens, db, db, &oauth.Options{
		Issuer: "https://api.example", Devices: &oauth.DeviceOptions{}, Logger: quiet,
	}))
	app := auth.Must(server.CreateApplication(ctx, by, oauth.ApplicationRequest{
		Name: "wall display", OrganizationID: 1, ClientType: oauth.ClientPublic, GrantType: oauth.GrantDeviceCode,
	})).Application

	scope := "read"
	started := auth.Must(server.StartDevice(ctx, app, scope, nil))
	fmt.Println("the display shows a code of", len(started.UserCode), "characters")

	request := auth.Must(server.FindDevice(ctx, by, started.UserCode)) // the user types it in
	fmt.Println(request.Application.Name, "asks for", request.Scopes)
	if err := server.DecideDevice(ctx, by, request, true); err != nil {
		log.Fatal(err)
	}
	issued := auth.Must(server.ExchangeDevice(ctx, app, started.DeviceCode.Reveal()))
	fmt.Println(auth.Must(tokens.Verify(ctx, issued.AccessToken.Reveal())).Name)
	// Output:
	// the display shows a code of 9 characters
	// wall display asks for read
	// admin
}

// quiet keeps audit events out of the output.
var quiet = slog.New(slog.DiscardHandler)
