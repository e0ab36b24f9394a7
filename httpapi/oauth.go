package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/internal/header"
	"github.com/ostiary/auth/store"
)

// clientChallenge asks clients that failed to authenticate themselves.
const clientChallenge = `Basic realm="api"`

func (a *api) addOAuth() {
	links := map[string]string{"authorize": "/api/o/authorize/", "token": "/api/o/token/", "revoke_token": "/api/o/revoke_token/"}
	a.add("/api/o/", public, methods{"GET": func(w http.ResponseWriter, r *http.Request) error {
		return writeJSON(w, r, http.StatusOK, links)
	}})
	a.add("/api/o/token/", open, methods{"POST": a.client(a.postToken)})
	a.add("/api/o/revoke_token/", open, methods{"POST": a.oauth(a.postRevoke)})
	a.add("/api/o/introspect/", open, methods{"POST": a.client(a.postIntrospect)})
	if a.Session != nil {
		a.add("/api/o/authorize/", session, methods{"GET": a.getAuthorize, "POST": a.postAuthorize})
	}
	if a.Devices != nil {
		a.add("/api/o/device_authorization/", open, methods{"POST": a.client(a.postDevice)})
		a.add("/api/o/device/", session, methods{"GET": a.getDevicePage, "POST": a.postDevicePage})
	}
	a.addMetadata()
}

// A clientHandler serves a request of an application that proved who it is.
type clientHandler func(w http.ResponseWriter, r *http.Request, app store.Application, form url.Values) error

// client reads the form and authenticates the client, before anything in the
// form is looked at.
func (a *api) client(h clientHandler) handler {
	return a.oauth(func(w http.ResponseWriter, r *http.Request) error {
		form, err := readOAuthForm(w, r)
		if err != nil {
			return err
		}
		app, err := a.Applications.Authenticate(r.Context(), r.Header, form)
		if err != nil {
			return err
		}
		return h(w, r, app, form)
	})
}

// readOAuthForm: RFC 6749 section 3.2. Only resource may repeat (RFC 8707
// section 2).
func readOAuthForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if r.URL.RawQuery != "" {
		return nil, badRequest("Parameters belong in the body of the request, not in the URL.")
	}
	if mediaType(r) != "application/x-www-form-urlencoded" {
		return nil, badRequest("The body must be form-encoded: Content-Type: application/x-www-form-urlencoded.")
	}
	return readForm(w, r, "resource")
}

// oauth answers errors in the form of RFC 6749 section 5.2.
func (a *api) oauth(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Pragma", "no-cache") // RFC 6749 section 5.1
		err := h(w, r)
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
				// Only who tried to log in by header is told how (RFC 6749
				// section 5.2); no browser gets here by itself.
				w.Header().Del("WWW-Authenticate")
				if len(r.Header["Authorization"]) > 0 {
					w.Header().Set("WWW-Authenticate", clientChallenge)
				}
			}
			_ = writeJSON(w, r, shown.Status, map[string]string{"error": code, "error_description": description})
		})
		return nil
	}
}

// scopeOf returns the scope parameter, nil if it is not given.
func scopeOf(form url.Values) *string {
	if !form.Has("scope") {
		return nil
	}
	s := form.Get("scope")
	return &s
}

func (a *api) postToken(w http.ResponseWriter, r *http.Request, app store.Application, form url.Values) error {
	ctx, resources := r.Context(), form["resource"]
	var issued auth.IssuedToken
	var err error
	switch grant := form.Get("grant_type"); {
	case grant == "":
		return &auth.Error{Status: http.StatusBadRequest, Code: "invalid_request", Detail: "Missing grant_type parameter."}
	case grant == "authorization_code":
		issued, err = a.Tokens.Exchange(ctx, app, auth.CodeExchange{
			Code: form.Get("code"), RedirectURI: form.Get("redirect_uri"), Verifier: form.Get("code_verifier"), Resources: resources,
		})
	case grant == "refresh_token":
		issued, err = a.Tokens.Refresh(ctx, app, auth.RefreshExchange{RefreshToken: form.Get("refresh_token"), Scope: scopeOf(form), Resources: resources})
	case grant == "client_credentials":
		issued, err = a.Tokens.ExchangeClient(ctx, app, auth.ClientExchange{Scope: scopeOf(form), Resources: resources})
	case grant == "password" && a.Passwords != nil:
		issued, err = a.Tokens.ExchangePassword(ctx, app, a.Passwords, auth.PasswordExchange{
			Username: form.Get("username"), Password: form.Get("password"), Scope: scopeOf(form), Resources: resources,
		})
	case grant == auth.GrantDeviceCode && a.Devices != nil:
		issued, err = a.Devices.Exchange(ctx, app, form.Get("device_code"))
	default:
		return &auth.Error{Status: http.StatusBadRequest, Code: "unsupported_grant_type", Detail: "This grant_type is not offered."}
	}
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, struct {
		AccessToken  string `json:"access_token"`
		ExpiresIn    int64  `json:"expires_in"`
		TokenType    string `json:"token_type"`
		Scope        string `json:"scope"`
		RefreshToken string `json:"refresh_token,omitempty"`
	}{
		AccessToken:  issued.AccessToken.Reveal(),
		ExpiresIn:    max(0, int64(time.Until(issued.Expires).Round(time.Second)/time.Second)),
		TokenType:    "Bearer",
		Scope:        issued.Scopes,
		RefreshToken: issued.RefreshToken.Reveal(),
	})
}

// postRevoke ends a token of the client that authenticates, or the personal
// token that comes in the Authorization field.
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
		if app, err = a.Applications.Authenticate(r.Context(), r.Header, form); err == nil {
			err = a.Tokens.Revoke(r.Context(), app, form.Get("token"))
		}
	}
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, struct{}{})
}

// postIntrospect: RFC 7662 section 2.2.
func (a *api) postIntrospect(w http.ResponseWriter, r *http.Request, app store.Application, form url.Values) error {
	i, err := a.Tokens.Introspect(r.Context(), app, form.Get("token"))
	if err != nil {
		return err
	}
	if !i.Active {
		return writeJSON(w, r, http.StatusOK, map[string]bool{"active": false})
	}
	answer := struct {
		Active    bool            `json:"active"`
		Scope     string          `json:"scope"`
		ClientID  string          `json:"client_id"`
		Username  string          `json:"username,omitempty"`
		TokenType string          `json:"token_type,omitempty"`
		Expires   int64           `json:"exp"`
		Issued    int64           `json:"iat"`
		Subject   string          `json:"sub,omitempty"`
		Audience  json.RawMessage `json:"aud,omitempty"`
		Issuer    string          `json:"iss,omitempty"`
	}{
		Active:   true,
		Scope:    i.Token.Scopes,
		ClientID: i.ClientID,
		Username: i.Username,
		Expires:  i.Token.Expires.Unix(),
		Issued:   i.Token.Created.Unix(),
		Subject:  i.Token.UserID,
		Issuer:   a.Tokens.Issuer(),
	}
	if !i.Refresh {
		answer.TokenType = "Bearer"
	}
	if i.Token.Audience != "" {
		if answer.Audience, err = json.Marshal(words(i.Token.Audience)); err != nil {
			return err
		}
	}
	return writeJSON(w, r, http.StatusOK, answer)
}

// postDevice: RFC 8628 section 3.2.
func (a *api) postDevice(w http.ResponseWriter, r *http.Request, app store.Application, form url.Values) error {
	d, err := a.Devices.Start(r.Context(), app, scopeOf(form), form["resource"])
	if err != nil {
		return err
	}
	page := a.base() + "/api/o/device/"
	return writeJSON(w, r, http.StatusOK, struct {
		DeviceCode string `json:"device_code"`
		UserCode   string `json:"user_code"`
		Page       string `json:"verification_uri"`
		Complete   string `json:"verification_uri_complete"`
		ExpiresIn  int64  `json:"expires_in"`
		Interval   int64  `json:"interval"`
	}{
		DeviceCode: d.DeviceCode.Reveal(),
		UserCode:   d.UserCode,
		Page:       page,
		Complete:   page + "?user_code=" + url.QueryEscape(d.UserCode),
		ExpiresIn:  int64(d.Lifetime / time.Second),
		Interval:   int64((d.Interval + time.Second - 1) / time.Second),
	})
}
