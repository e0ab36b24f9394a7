package httpapi

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/internal/header"
	"github.com/ostiary/auth/internal/params"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
)

// clientChallenge is the challenge for failed client authentication.
const clientChallenge = `Basic realm="api"`

// A clientHandler serves a request of an authenticated application.
type clientHandler func(a *api, w http.ResponseWriter, r *http.Request, app store.Application, form url.Values) error

// client reads the form and authenticates the client, before the rest of the
// form is checked.
func client(h clientHandler) handler {
	return oauthErrors(func(a *api, w http.ResponseWriter, r *http.Request) error {
		form, err := readOAuthForm(w, r)
		if err != nil {
			return err
		}
		app, err := a.OAuth.Authenticate(r.Context(), r.Header, form)
		if err != nil {
			return err
		}
		return h(a, w, r, app, form)
	})
}

// readOAuthForm reads the form of an OAuth endpoint (RFC 6749 section 3.2).
// Only resource may repeat (RFC 8707 section 2).
func readOAuthForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if r.URL.RawQuery != "" {
		return nil, badRequest("Parameters belong in the body of the request, not in the URL.")
	}
	if mediaType(r) != "application/x-www-form-urlencoded" {
		return nil, badRequest("The body must be form-encoded: Content-Type: application/x-www-form-urlencoded.")
	}
	form, err := readForm(w, r, "resource")
	return params.Present(form, "resource"), err
}

// oauthError is a refusal of an OAuth endpoint.
type oauthError struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

// oauthErrors writes errors in the form of RFC 6749 section 5.2.
func oauthErrors(h handler) handler {
	return func(a *api, w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Pragma", "no-cache") // RFC 6749 section 5.1
		err := h(a, w, r)
		if err == nil {
			return nil
		}
		code, description := "temporarily_unavailable", "The service is temporarily unavailable."
		e, refused := errors.AsType[*auth.Error](err)
		if refused {
			code, description = e.Code, e.Detail
			switch {
			case e.Status == http.StatusTooManyRequests || e.Status >= http.StatusInternalServerError:
				code = "temporarily_unavailable"
			case code == "":
				code = "invalid_request"
			}
		}
		a.Gate.DenyWith(w, r, err, func(w http.ResponseWriter, r *http.Request, shown *auth.Error) {
			if code == "invalid_client" {
				// Only clients that used the Authorization field get a
				// challenge (RFC 6749 section 5.2). Browsers do not send such
				// requests by themselves.
				w.Header().Del("WWW-Authenticate")
				if len(r.Header["Authorization"]) > 0 {
					w.Header().Set("WWW-Authenticate", clientChallenge)
				}
			}
			_ = writeJSON(w, r, shown.Status, oauthError{code, description})
		})
		return nil
	}
}

// issuedToken is the answer that has a token (RFC 6749 section 5.1).
type issuedToken struct {
	AccessToken  string `json:"access_token"`
	ExpiresIn    int64  `json:"expires_in"`
	TokenType    string `json:"token_type"`
	Scope        string `json:"scope"`
	RefreshToken string `json:"refresh_token,omitempty"`
}

func (a *api) postToken(w http.ResponseWriter, r *http.Request, app store.Application, form url.Values) error {
	ctx, resources := r.Context(), form["resource"]
	var issued auth.IssuedToken
	var err error
	switch grant := form.Get("grant_type"); {
	case grant == "":
		return &auth.Error{Status: http.StatusBadRequest, Code: "invalid_request", Detail: "Missing grant_type parameter."}
	case grant == "authorization_code":
		issued, err = a.OAuth.Exchange(ctx, app, oauth.CodeExchange{
			Code: form.Get("code"), RedirectURI: form.Get("redirect_uri"), Verifier: form.Get("code_verifier"), Resources: resources,
		})
	case grant == "refresh_token":
		issued, err = a.OAuth.Refresh(ctx, app, oauth.RefreshExchange{RefreshToken: form.Get("refresh_token"), Scope: form.Get("scope"), Resources: resources})
	case grant == "client_credentials":
		issued, err = a.OAuth.ExchangeClient(ctx, app, oauth.ClientExchange{Scope: form.Get("scope"), Resources: resources})
	case grant == "password" && a.Passwords != nil:
		issued, err = a.OAuth.ExchangePassword(ctx, app, a.Passwords, oauth.PasswordExchange{
			Username: form.Get("username"), Password: form.Get("password"), Scope: form.Get("scope"), Resources: resources,
		})
	case grant == oauth.GrantDeviceCode && a.OAuth.HasDevices():
		issued, err = a.OAuth.ExchangeDevice(ctx, app, form.Get("device_code"))
	default:
		return &auth.Error{Status: http.StatusBadRequest, Code: "unsupported_grant_type", Detail: "This grant_type is not offered."}
	}
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, issuedToken{
		AccessToken:  issued.AccessToken.Reveal(),
		ExpiresIn:    max(0, int64(time.Until(issued.Expires).Round(time.Second)/time.Second)),
		TokenType:    "Bearer",
		Scope:        issued.Scopes,
		RefreshToken: issued.RefreshToken.Reveal(),
	})
}

// postRevoke ends a token of the authenticated client, or the personal token in
// the Authorization field.
func (a *api) postRevoke(w http.ResponseWriter, r *http.Request) error {
	form, err := readOAuthForm(w, r)
	if err != nil {
		return err
	}
	if scheme, token, _ := header.Authorization(r.Header); header.IsScheme(scheme, "bearer") {
		if form.Has("token") && form.Get("token") != token {
			return badRequest("An owner revokes the token that is in the Authorization field.")
		}
		err = a.Tokens.RevokePersonal(r.Context(), token)
	} else {
		var app store.Application
		if app, err = a.OAuth.Authenticate(r.Context(), r.Header, form); err == nil {
			err = a.OAuth.Revoke(r.Context(), app, form.Get("token"))
		}
	}
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, struct{}{})
}

// introspection is the answer about a token that is good, inactive that about all
// others (RFC 7662 section 2.2).
type introspection struct {
	Active    bool     `json:"active"`
	Scope     string   `json:"scope"`
	ClientID  string   `json:"client_id,omitempty"`
	Username  string   `json:"username,omitempty"`
	TokenType string   `json:"token_type,omitempty"`
	Expires   int64    `json:"exp"`
	Issued    int64    `json:"iat"`
	Subject   string   `json:"sub,omitempty"`
	Audience  []string `json:"aud,omitempty"`
	Issuer    string   `json:"iss,omitempty"`

	// For applications that stand for a resource.
	TokenID        string `json:"jti,omitempty"`
	Application    int64  `json:"application,omitempty"`
	ViaApplication int64  `json:"via_application,omitempty"`
	Admin          bool   `json:"is_superuser,omitempty"`
	Auditor        bool   `json:"is_system_auditor,omitempty"`
}

type inactive struct {
	Active bool `json:"active"`
}

// postIntrospect serves introspection (RFC 7662 section 2.2).
func (a *api) postIntrospect(w http.ResponseWriter, r *http.Request, app store.Application, form url.Values) error {
	i, err := a.OAuth.Introspect(r.Context(), app, form.Get("token"))
	if err != nil {
		return err
	}
	if !i.Active {
		return writeJSON(w, r, http.StatusOK, inactive{})
	}
	answer := introspection{
		Active:   true,
		Scope:    i.Token.Scopes,
		ClientID: i.ClientID,
		Username: i.Username,
		Expires:  i.Token.Expires.Unix(),
		Issued:   i.Token.Created.Unix(),
		Subject:  i.Token.UserID,
		Issuer:   a.OAuth.Issuer(),
	}
	if !i.Refresh {
		answer.TokenType = "Bearer"
	}
	if i.ForResource {
		answer.TokenID = strconv.FormatInt(i.Token.ID, 10)
		answer.Application, answer.ViaApplication = i.Token.ApplicationID, i.Token.ViaApplicationID
		answer.Admin, answer.Auditor = i.Admin, i.Auditor
	}
	if i.Token.Audience != "" {
		answer.Audience = words(i.Token.Audience)
	}
	return writeJSON(w, r, http.StatusOK, answer)
}

// deviceAuthorization is the answer of RFC 8628 section 3.2.
type deviceAuthorization struct {
	DeviceCode string `json:"device_code"`
	UserCode   string `json:"user_code"`
	Page       string `json:"verification_uri"`
	Complete   string `json:"verification_uri_complete"`
	ExpiresIn  int64  `json:"expires_in"`
	Interval   int64  `json:"interval"`
}

// postDevice serves device authorization requests (RFC 8628 section 3.2).
func (a *api) postDevice(w http.ResponseWriter, r *http.Request, app store.Application, form url.Values) error {
	d, err := a.OAuth.StartDevice(r.Context(), app, form.Get("scope"), form["resource"])
	if err != nil {
		return err
	}
	page := a.base() + "/api/o/device/"
	return writeJSON(w, r, http.StatusOK, deviceAuthorization{
		DeviceCode: d.DeviceCode.Reveal(),
		UserCode:   d.UserCode,
		Page:       page,
		Complete:   page + "?user_code=" + url.QueryEscape(d.UserCode),
		ExpiresIn:  int64(d.Lifetime / time.Second),
		Interval:   int64((d.Interval + time.Second - 1) / time.Second),
	})
}
