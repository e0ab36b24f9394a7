package main

import (
	"fmt"
	"regexp"
)

// blamed are the settings behind the options of the library.
var blamed = map[string]string{
	"PasswordsOptions.MinLength":        "password-min-length",
	"PasswordsOptions.MaxHashes":        "password-hashes",
	"PasswordsOptions.RefusalTime":      "password-refusal-time",
	"PasswordsOptions.PerClient":        "throttle-client",
	"PasswordsOptions.PerAccount":       "throttle-account",
	"PasswordsOptions.PerNetwork":       "throttle-network",
	"AccountsOptions.FreshLogin":        "password-fresh-login",
	"TokensOptions.PersonalLifetime":    "personal-lifetime",
	"TokensOptions.MaxPersonalLifetime": "personal-max-lifetime",
	"TokensOptions.Prefix":              "token-prefix",
	"TokensOptions.Scopes":              "scopes",
	"TokensOptions.MaxMinted":           "minted-tokens",
	"TokensOptions.TouchInterval":       "touch-interval",
	"TokensOptions.Resource":            "url",
	"Options.MaxAge":                    "cache",
	"Options.Issuer":                    "url",
	"Options.AccessLifetime":            "access-lifetime",
	"Options.RefreshLifetime":           "refresh-lifetime",
	"Options.GrantLifetime":             "grant-lifetime",
	"Options.RefreshGrace":              "refresh-grace",
	"Options.RefreshInterval":           "refresh-interval",
	"Options.CodeLifetime":              "code-lifetime",
	"Options.Resources":                 "resources",
	"Options.PrivateSchemes":            "private-schemes",
	"DeviceOptions.Lifetime":            "device-lifetime",
	"Options.AllowHosts":                "client-documents",
	"Options.BlockHosts":                "client-documents-blocked",
	"DocumentOptions.PerNetwork":        "throttle-client-documents",
	"DocumentOptions.Fetcher":           "insecure-client-documents",
	"SessionOptions.IdleTimeout":        "session-idle",
	"SessionOptions.Lifetime":           "session-lifetime",
	"SessionOptions.CookieName":         "session-cookie",
	"SessionOptions.TrustedOrigins":     "trusted-origins",
	"ProxyOptions.Peers":                "trusted-proxies",
	"ProxyOptions.AddressFields":        "remote-host-headers",
	"PageOptions.Product":               "product",
}

var option = regexp.MustCompile(`\b\w*Options\.\w+`)

// blame names the setting in an error about an option of the library. Nil stays nil.
func (s *settings) blame(err error) error {
	if err == nil {
		return nil
	}
	name := blamed[option.FindString(err.Error())]
	if name == "personal-lifetime" && !s.given(name) {
		name = "access-lifetime"
	}
	if name == "trusted-origins" && !s.given(name) {
		name = "url" // which is one of them
	}
	if name == "" {
		return err
	}
	return fmt.Errorf("%s: %w", s.at(name), err)
}
