package main

import (
	"flag"

	"github.com/ostiary/auth"
)

func (c *config) tokenFlags(f *flag.FlagSet) {
	f.Var(seconds(&c.access), "access-lifetime", "`time` that access tokens live (default 1h for those of applications, 30d for personal\nones; AWX: ACCESS_TOKEN_EXPIRE_SECONDS)")
	f.Var(seconds(&c.tokens.PersonalLifetime), "personal-lifetime", "`time` that personal access tokens live whose request does not say it (default\n-access-lifetime, or 30d)")
	f.Var(seconds(&c.tokens.MaxPersonalLifetime), "personal-max-lifetime", "longest `time` that a personal access token may be asked for (default 365d)")
	f.Var(seconds(&c.gate.WarnBefore), "warn-before", "`time` before the end of a personal access token in which answers have the field\nX-Token-Expires (default none have)")
	c.minting = minting(auth.InsecureMintIndependent)
	f.Var(&c.minting, "minting", "`what` becomes of the tokens that a token has created when that token is deleted:\nchildren end with it, so that a stolen token leaves nothing behind; independent ones\nlive until they expire, as AWX's Ansible collection needs, which logs in by creating\na token, creates what it is told to with that one, and deletes it")
	f.Var(count{&c.tokens.MaxMinted}, "minted-tokens", "`number` of live tokens that can come from one that a user made (default 1000)")
	c.tokens.MaxPerUser = maxTokens
	f.Var(count{&c.tokens.MaxPerUser}, "tokens-per-user", "`number` of tokens that a user can have")
	f.StringVar(&c.tokens.Prefix, "token-prefix", "", "`letters` that every token begins with, one to four, for secret scanners (default\n\"ost\"). Tokens with another prefix stop working")
	f.Var(list{&c.tokens.Scopes}, "scopes", "`list` of scopes that tokens can have besides read and write")
	f.BoolVar(&c.tokens.EndWithPassword, "tokens-end-with-password", false, "end the tokens of a user with the password that they were made under")
	f.BoolVar(&c.tokens.Imported, "awx-tokens", false, "accept tokens in AWX's format whose digests were imported")
	f.Var(seconds(&c.tokens.TouchInterval), "touch-interval", "precision of the last use of a token as a `time`, in which it is written once\n(default 1m)")
}
