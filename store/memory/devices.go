package memory

import (
	"context"
	"time"

	"github.com/ostiary/auth/store"
)

type device struct {
	store.Device
	subject      // since the decision: that of the user, too
	placeInQueue int32
}

func (s *Store) dropDevice(d *device) {
	delete(s.devices, d.Digest)
	delete(s.devicesByUser, d.UserCode)
	s.devicesEnd.remove(d)
	d.subject.release(&s.cuts)
}

// here returns d, or nil if a cut-off concerns it: then it is gone.
func (s *Store) here(d *device) *device {
	if d != nil && d.subject.ends(&s.cuts) != 0 {
		return nil
	}
	return d
}

// InsertDevice implements [store.Devices].
func (s *Store) InsertDevice(ctx context.Context, r store.Device) error {
	r.Created, r.Expires, r.Polled, r.Spent = micro(r.Created), micro(r.Expires), micro(r.Polled), micro(r.Spent)
	r.Interval = r.Interval.Truncate(time.Microsecond)
	return s.write(ctx, func() error {
		if s.devices[r.Digest] != nil || s.devicesByUser[r.UserCode] != nil {
			return store.ErrExists
		}
		if !s.serves(r.ApplicationID) {
			return store.ErrConflict
		}
		d := &device{Device: r, subject: subject{seq: s.cuts.seq}}
		d.reach = s.cuts.reach(r.UserID, r.ApplicationID)
		s.devices[r.Digest], s.devicesByUser[r.UserCode] = d, d
		s.devicesEnd.add(d, instantOf(r.Expires))
		return nil
	})
}

// DeviceByUserCode implements [store.Devices].
func (s *Store) DeviceByUserCode(ctx context.Context, userCode store.Digest) (r store.Device, err error) {
	err = s.read(ctx, func() error {
		d := s.here(s.devicesByUser[userCode])
		if d == nil {
			return store.ErrNotFound
		}
		r = d.Device
		return nil
	})
	return r, err
}

// DecideDevice implements [store.Devices].
func (s *Store) DecideDevice(ctx context.Context, userCode store.Digest, say store.Decision, userID string, epoch int64, at time.Time) error {
	return s.write(ctx, func() error {
		d := s.here(s.devicesByUser[userCode])
		switch {
		case d == nil || !micro(at).Before(d.Expires):
			return store.ErrNotFound
		case d.Decision != store.Undecided:
			return store.ErrUsed
		}
		d.Decision, d.UserID, d.Epoch = say, userID, epoch
		old := d.subject
		d.subject = subject{seq: s.cuts.seq}
		d.reach = s.cuts.reach(userID, d.ApplicationID)
		old.release(&s.cuts)
		return nil
	})
}

// PollDevice implements [store.Devices].
func (s *Store) PollDevice(ctx context.Context, digest store.Digest, applicationID int64, slower time.Duration, at time.Time) (before store.Device, err error) {
	err = s.write(ctx, func() error {
		d := s.here(s.devices[digest])
		if d == nil || d.ApplicationID != applicationID {
			return store.ErrNotFound
		}
		before = d.Device
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
	at := instantOf(r.At).end().time()
	err = s.write(ctx, func() error {
		d := s.here(s.devices[r.Code])
		switch {
		case d == nil || d.ApplicationID != r.ApplicationID:
			return store.ErrNotFound
		case !d.Spent.IsZero():
			s.revokeFamily(d.Family, at)
			return store.ErrUsed
		case d.Decision != store.Approved || !at.Before(d.Expires):
			return store.ErrNotFound
		}
		t, err := s.insertFirst(r.Token, d.seq)
		if err != nil {
			return err
		}
		d.Spent, d.Family = at, s.familyID(t)
		stored = s.record(t)
		return nil
	})
	return stored, err
}
