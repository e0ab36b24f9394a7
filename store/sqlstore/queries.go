package sqlstore

// Every statement of this package, as SQLite takes it; see dialect.rewrite for
// what the others change. "FOR UPDATE" and "FOR SHARE" go in SQLite, where a
// transaction that writes is alone anyway; the latter is spelled differently in
// MySQL. "RETURNING id" stays in PostgreSQL only.
//
// In an UPDATE a column that is also read is set last: MySQL assigns from left
// to right.

const (
	schemaVersion = `
	SELECT MAX(version) FROM auth_schema`

	// fixedRows counts the locks, if there is the counter, too.
	fixedRows = `
	SELECT COUNT(*) FROM auth_counters c, auth_locks l
	WHERE c.name = 'users' AND l.slot BETWEEN 0 AND 255`
)

// Locks, for steps whose rows do not exist yet: a slot stands for all users,
// families or keys that hash to it.
const (
	slots = 256

	lockSlot = `
	SELECT slot FROM auth_locks WHERE slot = ? FOR UPDATE`

	// lockWriter matches no row. SQLite takes the write lock nevertheless, so
	// that no transaction reads first and finds later that it cannot write.
	lockWriter = `
	UPDATE auth_locks SET slot = slot WHERE slot < 0`
)

// Users.
const (
	userColumns = `
	u.id, u.name, u.email, u.first_name, u.last_name,
	u.is_admin, u.is_auditor, u.is_active, u.epoch, u.created_at`

	// joinedUser is userColumns where there may be no user.
	joinedUser = `
	COALESCE(u.id, ''), COALESCE(u.name, ''), COALESCE(u.email, ''),
	COALESCE(u.first_name, ''), COALESCE(u.last_name, ''),
	COALESCE(u.is_admin, FALSE), COALESCE(u.is_auditor, FALSE), COALESCE(u.is_active, FALSE),
	COALESCE(u.epoch, 0), u.created_at`

	userByID = `
	SELECT` + userColumns + ` FROM auth_users u WHERE u.id = ?`

	userByName = `
	SELECT` + userColumns + ` FROM auth_users u WHERE u.name = ?`

	passwordHash = `
	SELECT password_hash FROM auth_users WHERE id = ?`

	swapPasswordHash = `
	UPDATE auth_users SET password_hash = ?, revision = revision + 1
	WHERE id = ? AND password_hash = ?`

	setPasswordHash = `
	UPDATE auth_users SET password_hash = ?, epoch = epoch + 1, revision = revision + 1
	WHERE id = ?`

	nextUserID = `
	UPDATE auth_counters SET last_id = last_id + 1 WHERE name = 'users'`

	lastUserID = `
	SELECT last_id FROM auth_counters WHERE name = 'users'`

	skipUserIDs = `
	UPDATE auth_counters SET last_id = ? WHERE name = 'users' AND last_id < ?`

	insertUser = `
	INSERT INTO auth_users (
		id, id_number, name, email, first_name, last_name, is_admin, is_auditor,
		is_active, epoch, password_hash, created_at, revision)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', ?, 1)`

	updateUser = `
	UPDATE auth_users SET
		name = ?, email = ?, first_name = ?, last_name = ?, is_admin = ?, is_auditor = ?,
		epoch = CASE WHEN is_active AND NOT ? THEN epoch + 1 ELSE epoch END,
		is_active = ?, revision = revision + 1
	WHERE id = ?`

	deleteUser = `
	DELETE FROM auth_users WHERE id = ?`

	deleteUserCodes = `
	DELETE FROM auth_codes WHERE user_id = ?`

	deleteUserDevices = `
	DELETE FROM auth_devices WHERE user_id = ?`

	listUsers = `
	SELECT` + userColumns + ` FROM auth_users u`

	countUsers = `
	SELECT COUNT(*) FROM auth_users u`
)

// Tokens.
const (
	accessColumns = `
	t.id, t.user_id, t.application_id, t.scopes, t.audience, t.addresses, t.epoch,
	t.expires_at, t.revoked_at, t.last_used_at`

	accessByDigest = `
	SELECT` + accessColumns + ` FROM auth_tokens t WHERE t.digest = ?`

	accessAndUser = `
	SELECT` + accessColumns + `,` + joinedUser + `
	FROM auth_tokens t LEFT JOIN auth_users u ON u.id = t.user_id
	WHERE t.digest = ?`

	tokenColumns = `
	t.id, t.digest, t.user_id, t.application_id, t.parent_id, t.family, t.scopes,
	t.audience, t.addresses, t.epoch, t.description, t.created_at, t.modified_at,
	t.expires_at, t.last_used_at, t.revoked_at, t.refresh_digest, t.refresh_scopes,
	t.refresh_expires_at, t.grant_expires_at, t.refresh_spent_at, t.refresh_nonce,
	t.revision`

	tokenByDigest = `
	SELECT` + tokenColumns + ` FROM auth_tokens t WHERE t.digest = ?`

	tokenByID = `
	SELECT` + tokenColumns + ` FROM auth_tokens t WHERE t.id = ?`

	tokenByRefresh = `
	SELECT` + tokenColumns + ` FROM auth_tokens t WHERE t.refresh_digest = ?`

	listTokens = `
	SELECT` + tokenColumns + ` FROM auth_tokens t`

	countTokens = `
	SELECT COUNT(*) FROM auth_tokens t`

	// Between them goes the list of organizations.
	visibleTokens = `
	JOIN (
		SELECT m.id FROM auth_tokens m WHERE m.user_id = ?
		UNION
		SELECT o.id FROM auth_tokens o JOIN auth_applications a ON a.id = o.application_id
		WHERE a.organization_id`
	visibleTokensEnd = `
	) v ON v.id = t.id`

	lockParent = `
	SELECT expires_at, revoked_at, minted FROM auth_tokens WHERE id = ? FOR UPDATE`

	markMinted = `
	UPDATE auth_tokens SET minted = TRUE WHERE id = ?`

	insertToken = `
	INSERT INTO auth_tokens (
		digest, user_id, application_id, parent_id, family, scopes,
		audience, addresses, epoch, description, created_at, modified_at,
		expires_at, last_used_at, revoked_at, refresh_digest, refresh_scopes,
		refresh_expires_at, grant_expires_at, refresh_spent_at, refresh_nonce,
		successor_id, minted, ends_at, revision)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, FALSE, ?, 1)
	RETURNING id`

	foundFamily = `
	UPDATE auth_tokens SET family = id WHERE id = ?`

	updateToken = `
	UPDATE auth_tokens SET
		digest = ?, scopes = ?, description = ?, expires_at = ?, modified_at = ?,
		refresh_scopes = CASE WHEN refresh_digest IS NULL THEN refresh_scopes ELSE ? END,
		ends_at = CASE WHEN refresh_expires_at > ? THEN refresh_expires_at ELSE ? END,
		revision = revision + 1
	WHERE id = ? AND revision = ? AND revoked_at IS NULL`

	touchToken = `
	UPDATE auth_tokens SET last_used_at = ?
	WHERE id = ? AND revoked_at IS NULL AND (last_used_at IS NULL OR last_used_at < ?)`
)

// Rotation and revocation.
//
// A rotation moves a family from one token to the next. A revocation that runs
// at the same time must not miss the next one because it looked too early.
// Therefore both lock the family's slot first, and look afterwards: in READ
// COMMITTED every statement sees what was committed before it began.
const (
	familyByRefresh = `
	SELECT` + tokenColumns + `, t.successor_id, t.minted
	FROM auth_locks l JOIN auth_tokens t ON l.slot = (t.family & 255)
	WHERE t.refresh_digest = ? FOR UPDATE`

	spendRefresh = `
	UPDATE auth_tokens SET
		refresh_spent_at = ?, refresh_nonce = ?, successor_id = ?, revoked_at = ?,
		ends_at = CASE WHEN ends_at > ? THEN ? ELSE ends_at END
	WHERE id = ? AND refresh_spent_at IS NULL AND revoked_at IS NULL AND refresh_expires_at > ?`

	// rotateAtOnce is familyByRefresh, spendRefresh and insertToken, where
	// nothing stands in the way. Each part works on what the one before
	// returned, so nothing is inserted unless the old token was spent.
	rotateAtOnce = `
	WITH old AS (
		SELECT t.id, t.application_id, t.revision, t.grant_expires_at, t.minted
		FROM auth_locks l JOIN auth_tokens t ON l.slot = (t.family & 255)
		WHERE t.refresh_digest = ? FOR UPDATE
	), spent AS (
		UPDATE auth_tokens AS t SET
			refresh_spent_at = ?, refresh_nonce = ?, revoked_at = ?,
			ends_at = CASE WHEN t.ends_at > ? THEN ? ELSE t.ends_at END,
			successor_id = nextval(pg_get_serial_sequence('auth_tokens', 'id'))
		FROM old
		WHERE t.id = old.id AND old.application_id = ? AND old.revision = ? AND NOT old.minted
			AND t.refresh_spent_at IS NULL AND t.revoked_at IS NULL AND t.refresh_expires_at > ?
			AND (old.grant_expires_at IS NULL OR old.grant_expires_at > ?)
		RETURNING t.successor_id, t.family
	)
	INSERT INTO auth_tokens (
		id, family, digest, user_id, application_id, parent_id, scopes,
		audience, addresses, epoch, description, created_at, modified_at,
		expires_at, last_used_at, revoked_at, refresh_digest, refresh_scopes,
		refresh_expires_at, grant_expires_at, refresh_spent_at, refresh_nonce,
		successor_id, minted, ends_at, revision)
	OVERRIDING SYSTEM VALUE
	SELECT spent.successor_id, spent.family, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, FALSE, ?, 1
	FROM spent
	RETURNING id, family`

	adoptChildren = `
	UPDATE auth_tokens SET parent_id = ? WHERE parent_id = ?`

	// The rest stands between where the selection is put in: a condition on t
	// built from constants in revoke.go.
	lockFamilies = `
	SELECT slot FROM auth_locks WHERE slot IN (
		SELECT (t.family & 255) FROM auth_tokens t WHERE t.revoked_at IS NULL AND `
	lockFamiliesEnd = `) ORDER BY slot FOR UPDATE`

	revokeTokens = `
	UPDATE auth_tokens AS t SET
		revoked_at = ?, ends_at = CASE WHEN ends_at > ? THEN ? ELSE ends_at END
	WHERE revoked_at IS NULL AND `

	childrenOf = `
	SELECT c.id FROM auth_tokens c WHERE c.revoked_at IS NULL AND c.parent_id IN (
		SELECT t.id FROM auth_tokens t WHERE t.revoked_at = ? AND `
	childrenOfEnd = `)`
)

// Codes and devices.
const (
	// insertCode needs the lock that it names. Only the user's codes that have not
	// expired are looked at; the index for applications would lead to all that
	// these ever had, and is therefore kept out of it.
	insertCode = `
	INSERT INTO auth_codes (
		digest, application_id, user_id, scopes, audience, epoch, redirect_uri,
		challenge, created_at, expires_at, spent_at, family)
	SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
	FROM auth_locks l WHERE l.slot = ? AND (
		SELECT COUNT(*) FROM auth_codes c
		WHERE c.user_id = ? AND c.expires_at > ? AND c.spent_at IS NULL AND c.application_id + 0 = ?
	) < ?`

	codeColumns = `
	c.digest, c.application_id, c.user_id, c.scopes, c.audience, c.epoch, c.redirect_uri,
	c.challenge, c.created_at, c.expires_at, c.spent_at, c.family`

	codeByDigest = `
	SELECT` + codeColumns + ` FROM auth_codes c WHERE c.digest = ?`

	lockCode = `
	SELECT application_id, spent_at, family FROM auth_codes WHERE digest = ? FOR UPDATE`

	spendCode = `
	UPDATE auth_codes SET spent_at = ? WHERE digest = ? AND spent_at IS NULL`

	redeemCode = `
	UPDATE auth_codes SET spent_at = ?
	WHERE digest = ? AND application_id = ? AND spent_at IS NULL AND expires_at > ?`

	codeFamily = `
	UPDATE auth_codes SET family = ? WHERE digest = ?`

	insertDevice = `
	INSERT INTO auth_devices (
		digest, user_code, application_id, scopes, audience, created_at, expires_at,
		poll_interval, polled_at, decision, user_id, epoch, spent_at, family)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

	deviceColumns = `
	d.digest, d.user_code, d.application_id, d.scopes, d.audience, d.created_at,
	d.expires_at, d.poll_interval, d.polled_at, d.decision, d.user_id, d.epoch,
	d.spent_at, d.family`

	deviceByUserCode = `
	SELECT` + deviceColumns + ` FROM auth_devices d WHERE d.user_code = ?`

	lockDevice = `
	SELECT` + deviceColumns + ` FROM auth_devices d WHERE d.digest = ? FOR UPDATE`

	decideDevice = `
	UPDATE auth_devices SET decision = ?, user_id = ?, epoch = ?
	WHERE user_code = ? AND decision = 0 AND expires_at > ?`

	pollDevice = `
	UPDATE auth_devices SET polled_at = ?, poll_interval = ? WHERE digest = ?`

	redeemDevice = `
	UPDATE auth_devices SET spent_at = ?
	WHERE digest = ? AND application_id = ? AND decision = 1 AND spent_at IS NULL AND expires_at > ?`

	deviceFamily = `
	UPDATE auth_devices SET family = ? WHERE digest = ?`
)

// Applications.
const (
	applicationColumns = `
	a.id, a.client_id, a.secret, a.old_secret, a.old_secret_expires_at, a.name,
	a.description, a.organization_id, a.confidential, a.grant_type, a.redirect_uris,
	a.skip_consent, a.created_at, a.modified_at, a.revision`

	applicationByID = `
	SELECT` + applicationColumns + ` FROM auth_applications a WHERE a.id = ?`

	applicationByClientID = `
	SELECT` + applicationColumns + ` FROM auth_applications a WHERE a.client_id = ?`

	listApplications = `
	SELECT` + applicationColumns + ` FROM auth_applications a`

	countApplications = `
	SELECT COUNT(*) FROM auth_applications a`

	insertApplication = `
	INSERT INTO auth_applications (
		client_id, secret, old_secret, old_secret_expires_at, name, description,
		organization_id, confidential, grant_type, redirect_uris, skip_consent,
		created_at, modified_at, revision)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)
	RETURNING id`

	updateApplication = `
	UPDATE auth_applications SET
		secret = ?, old_secret = ?, old_secret_expires_at = ?, name = ?, description = ?,
		organization_id = ?, confidential = ?, grant_type = ?, redirect_uris = ?,
		skip_consent = ?, modified_at = ?, revision = revision + 1
	WHERE id = ? AND revision = ?`

	deleteApplication = `
	DELETE FROM auth_applications WHERE id = ?`

	shareApplication = `
	SELECT id FROM auth_applications WHERE id = ? FOR SHARE`

	deleteApplicationCodes = `
	DELETE FROM auth_codes WHERE application_id = ?`

	deleteApplicationDevices = `
	DELETE FROM auth_devices WHERE application_id = ?`
)

// Sessions.
const (
	sessionColumns = `
	s.id, s.digest, s.user_id, s.epoch, s.data, s.created_at, s.seen_at, s.expires_at,
	s.ended_at, s.reason, s.revision`

	sessionByDigest = `
	SELECT` + sessionColumns + ` FROM auth_sessions s WHERE s.digest = ?`

	sessionAndUser = `
	SELECT` + sessionColumns + `,` + joinedUser + `
	FROM auth_sessions s LEFT JOIN auth_users u ON u.id = s.user_id
	WHERE s.digest = ?`

	insertSession = `
	INSERT INTO auth_sessions (
		digest, user_id, epoch, data, created_at, seen_at, expires_at, ended_at, reason,
		gone_at, revision)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)
	RETURNING id`

	otherSessions = `
	SELECT id FROM auth_sessions
	WHERE user_id = ? AND id <> ? AND ended_at IS NULL AND expires_at > ?
	ORDER BY created_at DESC, id DESC FOR UPDATE`

	saveSession = `
	UPDATE auth_sessions SET data = ?, revision = revision + 1
	WHERE digest = ? AND revision = ? AND ended_at IS NULL AND expires_at > ?`

	touchSession = `
	UPDATE auth_sessions SET expires_at = ?, seen_at = ?, gone_at = ?
	WHERE digest = ? AND ended_at IS NULL AND expires_at > ? AND expires_at < ?`

	// Followed by the selection; see sessions.go.
	endSessions = `
	UPDATE auth_sessions SET
		ended_at = ?, reason = ?, gone_at = CASE WHEN gone_at > ? THEN ? ELSE gone_at END
	WHERE ended_at IS NULL AND `

	listSessions = `
	SELECT id, user_id, epoch, created_at, seen_at, expires_at, revision FROM auth_sessions
	WHERE user_id = ? AND ended_at IS NULL AND expires_at > ?
	ORDER BY created_at DESC, id DESC`
)

// Attempts.
const (
	lockAttempts = `
	SELECT started_at, ends_at, used FROM auth_attempts WHERE key_digest = ? FOR UPDATE`

	insertAttempts = `
	INSERT INTO auth_attempts (started_at, ends_at, used, key_digest) VALUES (?, ?, ?, ?)`

	updateAttempts = `
	UPDATE auth_attempts SET started_at = ?, ends_at = ?, used = ? WHERE key_digest = ?`

	forgiveAttempts = `
	DELETE FROM auth_attempts WHERE key_digest = ?`
)

// Purges look first and delete what they found if it is still so: MySQL does not
// take a limited subquery.
const (
	// A token that was rotated stays until its family has ended, so that a
	// replay is recognised, and a parent until its children have, so that they
	// can be reached from further up.
	endedTokens = `
	SELECT t.id FROM auth_tokens t
	WHERE t.ends_at < ?
		AND (t.refresh_spent_at IS NULL OR NOT EXISTS (
			SELECT 1 FROM auth_tokens f WHERE f.family = t.family AND f.ends_at >= ?))
		AND NOT EXISTS (
			SELECT 1 FROM auth_tokens c WHERE c.parent_id = t.id AND c.ends_at >= ?)
	ORDER BY t.ends_at LIMIT ?`

	deleteToken = `
	DELETE FROM auth_tokens WHERE id = ? AND ends_at < ?`

	endedCodes = `
	SELECT digest FROM auth_codes WHERE expires_at < ? ORDER BY expires_at LIMIT ?`

	deleteCode = `
	DELETE FROM auth_codes WHERE digest = ? AND expires_at < ?`

	endedDevices = `
	SELECT digest FROM auth_devices WHERE expires_at < ? ORDER BY expires_at LIMIT ?`

	deleteDevice = `
	DELETE FROM auth_devices WHERE digest = ? AND expires_at < ?`

	goneSessions = `
	SELECT id FROM auth_sessions WHERE gone_at < ? ORDER BY gone_at LIMIT ?`

	deleteSession = `
	DELETE FROM auth_sessions WHERE id = ? AND gone_at < ?`

	endedAttempts = `
	SELECT key_digest FROM auth_attempts WHERE ends_at < ? ORDER BY ends_at LIMIT ?`

	deleteAttempts = `
	DELETE FROM auth_attempts WHERE key_digest = ? AND ends_at < ?`
)

// preparedQueries are those that are complete: what has to be put together, for
// lists and selections, is prepared when it is needed.
func preparedQueries(d Dialect) []string {
	queries := []string{
		lockSlot, lockWriter, userByID, userByName, passwordHash, swapPasswordHash, setPasswordHash,
		nextUserID, lastUserID, skipUserIDs, insertUser, updateUser, deleteUser, deleteUserCodes,
		deleteUserDevices, accessByDigest, accessAndUser, tokenByDigest, tokenByID, tokenByRefresh,
		lockParent, markMinted, insertToken, foundFamily, updateToken, touchToken, familyByRefresh, spendRefresh,
		adoptChildren, insertCode, codeByDigest, lockCode, spendCode, redeemCode, codeFamily,
		insertDevice, deviceByUserCode, lockDevice, decideDevice, pollDevice, redeemDevice, deviceFamily,
		applicationByID, applicationByClientID, insertApplication, updateApplication, deleteApplication,
		shareApplication, deleteApplicationCodes, deleteApplicationDevices, sessionByDigest, sessionAndUser, insertSession,
		otherSessions, saveSession, touchSession, listSessions, lockAttempts, insertAttempts,
		updateAttempts, forgiveAttempts, endedTokens, deleteToken, endedCodes, deleteCode, endedDevices,
		deleteDevice, goneSessions, deleteSession, endedAttempts, deleteAttempts,
	}
	if d == Postgres {
		queries = append(queries, rotateAtOnce)
	}
	return queries
}
