package sqlstore

// Codes and devices.
const (
	cutCode = `COALESCE(
		(` + cutAfter + `c.seq AND x.user_id = c.user_id AND x.application_id = 0),
		(` + cutAfter + `c.seq AND x.user_id = '' AND x.application_id = c.application_id),
		(` + cutAfter + `c.seq AND x.user_id = c.user_id AND x.application_id = c.application_id),
		(` + cutAfter + `c.seq AND x.user_id = '' AND x.application_id = 0))`

	cutDevice = `COALESCE(
		(` + cutAfter + `d.seq AND x.user_id = d.user_id AND x.application_id = 0),
		(` + cutAfter + `d.seq AND x.user_id = '' AND x.application_id = d.application_id),
		(` + cutAfter + `d.seq AND x.user_id = d.user_id AND x.application_id = d.application_id),
		(` + cutAfter + `d.seq AND x.user_id = '' AND x.application_id = 0))`

	// insertCode needs the lock that it names. Only the user's codes that have not
	// expired are looked at; the index for applications would lead to all that
	// these ever had, and is therefore kept out of it.
	insertCode = `
	INSERT INTO auth_codes (
		digest, application_id, user_id, scopes, audience, epoch, redirect_uri,
		challenge, created_at, expires_at, spent_at, family, seq)
	SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, n.last_id
	FROM auth_locks l, auth_counters n
	WHERE l.slot = ? AND n.name = 'cutoffs'
		AND EXISTS (SELECT 1 FROM auth_applications a WHERE a.id = ? AND NOT a.disabled)
		AND (
			SELECT COUNT(*) FROM auth_codes c
			WHERE c.user_id = ? AND c.expires_at > ? AND c.spent_at IS NULL AND c.application_id + 0 = ?
		) < ?`

	codeByDigest = `
	SELECT c.digest, c.application_id, c.user_id, c.scopes, c.audience, c.epoch, c.redirect_uri,
		c.challenge, c.created_at, c.expires_at, c.spent_at, c.family
	FROM auth_codes c WHERE c.digest = ? AND ` + cutCode + ` IS NULL`

	lockCode = `
	SELECT c.application_id, c.spent_at, c.family FROM auth_codes c
	WHERE c.digest = ? AND ` + cutCode + ` IS NULL FOR UPDATE`

	spendCode = `
	UPDATE auth_codes AS c SET spent_at = ?
	WHERE digest = ? AND spent_at IS NULL AND ` + cutCode + ` IS NULL`

	redeemCode = `
	UPDATE auth_codes AS c SET spent_at = ?
	WHERE digest = ? AND application_id = ? AND spent_at IS NULL AND expires_at > ?
		AND ` + cutCode + ` IS NULL`

	codeFamily = `
	UPDATE auth_codes SET family = ? WHERE digest = ?`

	insertDevice = `
	INSERT INTO auth_devices (
		digest, user_code, application_id, scopes, audience, created_at, expires_at,
		poll_interval, polled_at, decision, user_id, epoch, spent_at, family, seq)
	SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, n.last_id
	FROM auth_counters n
	WHERE n.name = 'cutoffs'
		AND EXISTS (SELECT 1 FROM auth_applications a WHERE a.id = ? AND NOT a.disabled)`

	deviceColumns = `
	d.digest, d.user_code, d.application_id, d.scopes, d.audience, d.created_at,
	d.expires_at, d.poll_interval, d.polled_at, d.decision, d.user_id, d.epoch,
	d.spent_at, d.family`

	deviceByUserCode = `
	SELECT` + deviceColumns + ` FROM auth_devices d WHERE d.user_code = ? AND ` + cutDevice + ` IS NULL`

	lockDevice = `
	SELECT` + deviceColumns + ` FROM auth_devices d
	WHERE d.digest = ? AND ` + cutDevice + ` IS NULL FOR UPDATE`

	decideDevice = `
	UPDATE auth_devices AS d SET decision = ?, epoch = ?,
		seq = (SELECT n.last_id FROM auth_counters n WHERE n.name = 'cutoffs'), user_id = ?
	WHERE user_code = ? AND decision = 0 AND expires_at > ? AND ` + cutDevice + ` IS NULL`

	pollDevice = `
	UPDATE auth_devices SET polled_at = ?, poll_interval = ? WHERE digest = ?`

	redeemDevice = `
	UPDATE auth_devices AS d SET spent_at = ?
	WHERE digest = ? AND application_id = ? AND decision = 1 AND spent_at IS NULL AND expires_at > ?
		AND ` + cutDevice + ` IS NULL`

	deviceFamily = `
	UPDATE auth_devices SET family = ? WHERE digest = ?`
)

// Consents.
const (
	deleteConsent = `
	DELETE FROM auth_consents
	WHERE user_id = ? AND application_id = ? AND uri_digest = ?
		AND application_epoch = ? AND scopes = ? AND audience = ? AND created_at = ?`

	insertConsent = `
	INSERT INTO auth_consents (
		user_id, application_id, uri_digest, application_epoch, redirect_uri, scopes, audience, created_at)
	SELECT ?, a.id, ?, ?, ?, ?, ?, ? FROM auth_applications a WHERE a.id = ?`

	consentColumns = `
	SELECT c.user_id, c.application_id, c.application_epoch, c.redirect_uri, c.scopes, c.audience, c.created_at
	FROM auth_consents c JOIN auth_applications a ON a.id = c.application_id`

	consentFor = consentColumns + `
	WHERE c.user_id = ? AND c.application_id = ? AND c.uri_digest = ?`

	countConsents = `
	SELECT 1 AS one FROM auth_consents c JOIN auth_applications a ON a.id = c.application_id`

	withdrawConsents = `
	DELETE FROM auth_consents WHERE user_id = ? AND application_id = ?`

	// disableUser is for one whose deletion takes several steps.
	disableUser = `
	UPDATE auth_users SET is_active = FALSE, epoch = epoch + 1, revision = revision + 1
	WHERE id = ?`

	// manyUserConsents returns the last application whose consents a step ends, and nothing
	// if one step ends all.
	manyUserConsents = `
	SELECT application_id FROM auth_consents WHERE user_id = ?
	ORDER BY user_id, application_id LIMIT 1 OFFSET ?`

	deleteUserConsents = `
	DELETE FROM auth_consents WHERE user_id = ? AND application_id <= ?`
)

// Applications.
const (
	applicationColumns = `
	a.id, a.client_id, a.secret, a.old_secret, a.old_secret_expires_at, a.name,
	a.description, a.organization_id, a.confidential, a.grant_type, a.redirect_uris,
	a.skip_consent, a.require_pkce, a.resource, a.disabled, a.created_at, a.modified_at,
	a.revision - a.quiet_updates, a.revision`

	applicationByID = `
	SELECT` + applicationColumns + ` FROM auth_applications a WHERE a.id = ?`

	applicationByClientID = `
	SELECT` + applicationColumns + ` FROM auth_applications a WHERE a.client_id = ?`

	listApplications = `
	SELECT` + applicationColumns + ` FROM auth_applications a`

	countApplications = `
	SELECT 1 AS one FROM auth_applications a`

	insertApplication = `
	INSERT INTO auth_applications (
		client_id, secret, old_secret, old_secret_expires_at, name, description,
		organization_id, confidential, grant_type, redirect_uris, skip_consent, require_pkce, resource,
		disabled, created_at, modified_at, revision)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)
	RETURNING id`

	updateApplication = `
	UPDATE auth_applications SET
		secret = ?, old_secret = ?, old_secret_expires_at = ?, name = ?, description = ?,
		organization_id = ?, confidential = ?, grant_type = ?, redirect_uris = ?,
		skip_consent = ?, require_pkce = ?, resource = ?, disabled = ?, modified_at = ?,
		quiet_updates = quiet_updates + ?, revision = revision + 1
	WHERE id = ? AND revision = ?`

	deleteApplication = `
	DELETE FROM auth_applications WHERE id = ?`
)
