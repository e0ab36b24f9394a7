package storetest_test

import (
	"context"
	"errors"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/storetest"
)

// Consents.
var consentMutants = []mutant{
	{"saves over everything", "Consents/one record for each user, application and redirect URI", func(r right) storetest.Store { return savesOver{r} }},
	{"reads the consent, then saves", "Consents/of 64 who save one succeeds", func(r right) storetest.Store { return readsConsent{r} }},
	{"restores what was withdrawn", "Consents/what is withdrawn is not saved again", func(r right) storetest.Store { return restoresConsent{r} }},
}

type savesOver struct{ right }

func (m savesOver) SaveConsent(ctx context.Context, c, prev store.Consent) error {
	for {
		have, err := m.ConsentFor(ctx, c.UserID, c.ApplicationID, c.RedirectURI)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err := m.Store.SaveConsent(ctx, c, have); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

type readsConsent struct{ right }

func (m readsConsent) SaveConsent(ctx context.Context, c, prev store.Consent) error {
	have, err := m.ConsentFor(ctx, c.UserID, c.ApplicationID, c.RedirectURI)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if have != prev {
		return store.ErrConflict
	}
	gap()
	return savesOver(m).SaveConsent(ctx, c, prev)
}

type restoresConsent struct{ right }

func (m restoresConsent) SaveConsent(ctx context.Context, c, prev store.Consent) error {
	err := m.Store.SaveConsent(ctx, c, prev)
	if errors.Is(err, store.ErrConflict) && prev.ApplicationID != 0 {
		if _, gone := m.ConsentFor(ctx, c.UserID, c.ApplicationID, c.RedirectURI); errors.Is(gone, store.ErrNotFound) {
			return m.Store.SaveConsent(ctx, c, store.Consent{})
		}
	}
	return err
}
