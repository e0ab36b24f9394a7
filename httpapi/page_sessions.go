package httpapi

import (
	"net/http"
	"strconv"
	"time"

	"github.com/ostiary/auth/store"
)

// A sessionLine is a session as the pages show it.
type sessionLine struct {
	ID               int64
	Browser, Address string
	Created, Seen    moment
	Current          bool
}

// sessionsData is what the list of sessions shows.
type sessionsData struct {
	frame
	Sessions []sessionLine
	Pager    pager
	Others   bool // whether there are other sessions than this one
}

// sessionsPage lists the sessions of the visitor, and ends one or all others.
func (a *api) sessionsPage(v *visit) error {
	ctx := v.r.Context()
	if v.sends() {
		return a.endFromPage(v)
	}
	at := paging(v.r)
	at.Order, at.Descending = store.OrderCreated, true
	list, total, err := a.Session.List(ctx, v.by, v.by.ID, at)
	if err != nil {
		return err
	}
	data := sessionsData{frame: a.frame(v, sessionsPage), Pager: newPager(sessionsPage, at, len(list), total), Others: total > 1}
	now, current := time.Now(), a.Session.Current(ctx)
	for _, s := range list {
		line := sessionLine{
			ID: s.ID, Browser: s.Agent, Current: s.ID == current,
			Created: a.moment(s.Created, now), Seen: a.moment(s.Seen, now),
		}
		if s.Address.IsValid() {
			line.Address = s.Address.String()
		}
		if line.Browser == "" {
			line.Browser = a.PageOptions.say("Unknown browser")
		}
		data.Sessions = append(data.Sessions, line)
	}
	return a.pages.account.sessions.write(v.w, v.r, http.StatusOK, data)
}

// endFromPage ends what the form names. Repeating it is harmless.
func (a *api) endFromPage(v *visit) error {
	ctx := v.r.Context()
	if v.form.Get("end") == "others" {
		if _, err := a.Session.EndOthers(ctx, v.by, v.by.ID); err != nil {
			return err
		}
		v.goTo(sessionsPage, "sessions_ended")
		return nil
	}
	id, err := strconv.ParseInt(v.form.Get("end"), 10, 64)
	if err != nil {
		return badRequest("The form does not say which session to end.")
	}
	if err := a.Session.EndOne(ctx, v.by, v.by.ID, id); err != nil && !isStatus(err, http.StatusNotFound) {
		return err
	}
	v.goTo(sessionsPage, "session_ended")
	return nil
}
