package memory

import (
	"context"
	"time"

	"github.com/ostiary/auth/store"
)

// InsertDevice implements [store.Devices].
func (s *Store) InsertDevice(ctx context.Context, d store.Device) error {
	d.Created, d.Expires, d.Polled, d.Spent = micro(d.Created), micro(d.Expires), micro(d.Polled), micro(d.Spent)
	d.Interval = d.Interval.Truncate(time.Microsecond)
	return s.write(ctx, func() error {
		if s.devices[d.Digest] != nil || s.devicesByUser[d.UserCode] != nil {
			return store.ErrExists
		}
		s.devices[d.Digest], s.devicesByUser[d.UserCode] = &d, &d
		return nil
	})
}

func (s *Store) dropDevice(d *store.Device) {
	delete(s.devices, d.Digest)
	delete(s.devicesByUser, d.UserCode)
}

// DeviceByUserCode implements [store.Devices].
func (s *Store) DeviceByUserCode(ctx context.Context, userCode store.Digest) (d store.Device, err error) {
	err = s.read(ctx, func() error {
		record := s.devicesByUser[userCode]
		if record == nil {
			return store.ErrNotFound
		}
		d = *record
		return nil
	})
	return d, err
}

// DecideDevice implements [store.Devices].
func (s *Store) DecideDevice(ctx context.Context, userCode store.Digest, say store.Decision, userID string, epoch int64, at time.Time) error {
	return s.write(ctx, func() error {
		d := s.devicesByUser[userCode]
		switch {
		case d == nil || !micro(at).Before(d.Expires):
			return store.ErrNotFound
		case d.Decision != store.Undecided:
			return store.ErrUsed
		}
		d.Decision, d.UserID, d.Epoch = say, userID, epoch
		return nil
	})
}

// PollDevice implements [store.Devices].
func (s *Store) PollDevice(ctx context.Context, digest store.Digest, applicationID int64, slower time.Duration, at time.Time) (before store.Device, err error) {
	err = s.write(ctx, func() error {
		d := s.devices[digest]
		if d == nil || d.ApplicationID != applicationID {
			return store.ErrNotFound
		}
		before = *d
		at := micro(at)
		if !d.Polled.IsZero() && at.Sub(d.Polled) < d.Interval {
			d.Interval += slower.Truncate(time.Microsecond)
		}
		d.Polled = at
		return nil
	})
	return before, err
}

// RedeemDevice implements [store.Devices].
func (s *Store) RedeemDevice(ctx context.Context, r store.Redemption) (stored store.Token, err error) {
	at := micro(r.At)
	err = s.write(ctx, func() error {
		d := s.devices[r.Code]
		switch {
		case d == nil || d.ApplicationID != r.ApplicationID:
			return store.ErrNotFound
		case !d.Spent.IsZero():
			s.revokeFamily(d.Family, at)
			return store.ErrUsed
		case d.Decision != store.Approved || !at.Before(d.Expires):
			return store.ErrNotFound
		}
		t, err := s.insertFirst(r.Token)
		if err != nil {
			return err
		}
		d.Spent, d.Family = at, t.Family
		stored = copied(t.Token)
		return nil
	})
	return stored, err
}
