package sqlstore

// Sessions.
const (
	sessionColumns = `
	s.id, s.digest, s.user_id, s.epoch, s.data, s.created_at, s.seen_at, s.expires_at,
	s.ended_at, s.reason, s.revision, s.address, COALESCE(s.agent, '')`

	sessionByDigest = `
	SELECT` + sessionColumns + ` FROM auth_sessions s WHERE s.digest = ?`

	sessionAndUser = `
	SELECT` + sessionColumns + `,` + joinedUser + `
	FROM auth_sessions s LEFT JOIN auth_users u ON u.id = s.user_id
	WHERE s.digest = ?`

	intoSessions = `
	INSERT INTO auth_sessions (
		digest, user_id, epoch, data, created_at, seen_at, expires_at, ended_at, reason,
		gone_at, address, agent, revision)`

	insertSession = intoSessions + `
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)
	RETURNING id`

	// insertFewSessions is insertSession where the user has fewer live sessions than a
	// limit, or else does nothing.
	insertFewSessions = intoSessions + `
	SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1 FROM auth_counters n
	WHERE n.name = 'users' AND (
		SELECT COUNT(*) FROM auth_sessions s
		WHERE s.user_id = ? AND s.ended_at IS NULL AND s.expires_at > ?) < ?`

	// insertSessionAtOnce is, for PostgreSQL, the whole step. A statement sees what
	// was committed before it began, and a slot that it has waited for as the last
	// commit left it: the two differ if somebody was there meanwhile, whose session
	// it would not see. Then it does nothing.
	insertSessionAtOnce = `
	WITH used AS (
		UPDATE auth_locks SET uses = uses + 1 WHERE slot = ? RETURNING uses
	), alone AS (
		SELECT 1 FROM used u JOIN auth_locks l ON l.uses + 1 = u.uses WHERE l.slot = ?
	), others AS (
		SELECT s.id, s.created_at FROM auth_sessions s
		WHERE s.user_id = ? AND s.ended_at IS NULL AND s.expires_at > ? AND s.digest <> ? AND CAST(? AS BIGINT) > 0
			AND EXISTS (SELECT 1 FROM alone)
		ORDER BY s.created_at DESC, s.id DESC LIMIT ? FOR UPDATE
	), doomed (id, surplus) AS (
		SELECT s.id, FALSE FROM auth_sessions s, alone WHERE s.digest = ?
		UNION ALL
		(SELECT o.id, TRUE FROM others o ORDER BY o.created_at DESC, o.id DESC OFFSET ?)
	), ended AS (
		UPDATE auth_sessions AS s SET
			ended_at = ?, reason = CASE WHEN d.surplus THEN ? ELSE ? END, gone_at = LEAST(s.gone_at, ?)
		FROM doomed d WHERE s.id = d.id AND s.ended_at IS NULL
		RETURNING d.surplus, s.created_at, s.id
	)` + intoSessions + `
	SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1 FROM alone
	RETURNING id, (SELECT COUNT(*) FROM ended e WHERE e.surplus),
		COALESCE((SELECT e.created_at FROM ended e WHERE e.surplus ORDER BY e.created_at, e.id LIMIT 1), 0),
		COALESCE((SELECT e.id FROM ended e WHERE e.surplus ORDER BY e.created_at, e.id LIMIT 1), 0)`

	otherSessions = `
	SELECT created_at, id FROM auth_sessions
	WHERE user_id = ? AND id <> ? AND ended_at IS NULL AND expires_at > ?
	ORDER BY created_at DESC, id DESC LIMIT ? OFFSET ? FOR UPDATE`

	// olderSessions are those behind a place that were there before a session was stored.
	olderSessions = `
	SELECT created_at, id FROM auth_sessions
	WHERE user_id = ? AND id < ? AND ended_at IS NULL AND expires_at > ? AND created_at <= ? AND (created_at < ? OR id < ?)
	ORDER BY created_at DESC, id DESC LIMIT ? FOR UPDATE`

	saveSession = `
	UPDATE auth_sessions SET data = ?, revision = revision + 1
	WHERE digest = ? AND revision = ? AND ended_at IS NULL AND expires_at > ?`

	touchSession = `
	UPDATE auth_sessions SET expires_at = ?, seen_at = ?, gone_at = ?,
		address = CASE WHEN ? = '' THEN address ELSE ? END
	WHERE digest = ? AND ended_at IS NULL AND expires_at > ? AND expires_at < ?` + notWaiting

	// Followed by the selection; see sessions.go.
	endSessions = `
	UPDATE auth_sessions SET
		ended_at = ?, reason = ?, gone_at = CASE WHEN gone_at > ? THEN ? ELSE gone_at END
	WHERE ended_at IS NULL AND `

	sessionsToEnd = `
	SELECT id FROM auth_sessions WHERE ended_at IS NULL AND id > ? AND digest <> ? ORDER BY id LIMIT ?`

	sessionsToEndOf = `
	SELECT id FROM auth_sessions WHERE user_id = ? AND ended_at IS NULL AND digest <> ? LIMIT ?`

	listSessions = `
	SELECT s.id, s.user_id, s.epoch, s.created_at, s.seen_at, s.expires_at, s.revision, s.address, COALESCE(s.agent, '')
	FROM auth_sessions s`

	countSessions = `
	SELECT 1 AS one FROM auth_sessions s`
)
