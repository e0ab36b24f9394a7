package sqlstore

import (
	"context"
	"database/sql"
	"time"

	"github.com/ostiary/auth/store"
)

// InsertDevice implements [store.Devices].
func (s *Store) InsertDevice(ctx context.Context, d store.Device) error {
	n, err := s.change(ctx, "insert a device", false, insertDevice,
		bytesOf(d.Digest), bytesOf(d.UserCode), d.ApplicationID, d.Scopes, d.Audience, micros(d.Created), micros(d.Expires),
		d.Interval.Microseconds(), orNever(d.Polled), int64(d.Decision), d.UserID, d.Epoch, orNever(d.Spent), d.Family, d.ApplicationID)
	if err == nil && n == 0 {
		err = store.ErrConflict
	}
	return err
}

// An intervalVar scans microseconds.
type intervalVar time.Duration

func (v *intervalVar) Scan(src any) error {
	var n sql.Null[int64]
	if err := n.Scan(src); err != nil {
		return err
	}
	*v = intervalVar(time.Duration(n.V) * time.Microsecond)
	return nil
}

// deviceDest is where deviceColumns go.
func deviceDest(d *store.Device) []any {
	return []any{
		(*digestVar)(&d.Digest), (*digestVar)(&d.UserCode), &d.ApplicationID, &d.Scopes, &d.Audience, when(&d.Created),
		when(&d.Expires), (*intervalVar)(&d.Interval), when(&d.Polled), &d.Decision, &d.UserID, &d.Epoch,
		when(&d.Spent), &d.Family,
	}
}

// DeviceByUserCode implements [store.Devices].
func (s *Store) DeviceByUserCode(ctx context.Context, userCode store.Digest) (store.Device, error) {
	var d store.Device
	if err := s.get(ctx, "look up a device", deviceByUserCode, []any{userCode[:]}, deviceDest(&d)...); err != nil {
		return store.Device{}, err
	}
	s.noticeSkew("device", d.Created, d.Polled)
	return d, nil
}

// DecideDevice implements [store.Devices].
func (s *Store) DecideDevice(ctx context.Context, userCode store.Digest, say store.Decision, userID string, epoch int64, at time.Time) error {
	return s.write(ctx, "decide about a device", func(tx *tx) error {
		n, err := tx.exec(decideDevice, int64(say), epoch, userID, userCode[:], micros(at))
		if err != nil || n == 1 {
			return err
		}
		var d store.Device
		if err := tx.get(deviceByUserCode, []any{userCode[:]}, deviceDest(&d)...); err != nil {
			return err
		}
		if !stored(at).Before(d.Expires) {
			return store.ErrNotFound
		}
		return store.ErrUsed
	})
}

// PollDevice implements [store.Devices].
func (s *Store) PollDevice(ctx context.Context, d store.Digest, applicationID int64, slower time.Duration, at time.Time) (before store.Device, err error) {
	at = stored(at)
	err = s.write(ctx, "poll for a device", func(tx *tx) error {
		before, err = tx.lockDevice(d, applicationID)
		if err != nil {
			return err
		}
		interval := before.Interval
		if !before.Polled.IsZero() && at.Sub(before.Polled) < interval {
			interval += slower
		}
		_, err = tx.exec(pollDevice, orNever(at), interval.Microseconds(), d[:])
		return err
	})
	if err != nil {
		return store.Device{}, err
	}
	return before, nil
}

func (t *tx) lockDevice(digest store.Digest, applicationID int64) (store.Device, error) {
	var d store.Device
	if err := t.get(lockDevice, []any{digest[:]}, deviceDest(&d)...); err != nil {
		return store.Device{}, err
	}
	if d.ApplicationID != applicationID {
		return store.Device{}, store.ErrNotFound
	}
	return d, nil
}

// RedeemDevice implements [store.Devices].
func (s *Store) RedeemDevice(ctx context.Context, r store.Redemption) (store.Token, error) {
	return s.redeem(ctx, r, "redeem a device code", redeemDevice, deviceFamily, func(tx *tx) (time.Time, int64, error) {
		d, err := tx.lockDevice(r.Code, r.ApplicationID)
		return d.Spent, d.Family, err
	})
}
