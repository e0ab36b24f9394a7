package sqlstore

// The statements of this package, here and in the other queries files, in SQLite's
// form; dialect.rewrite translates them, and named those whose values have names. "FOR UPDATE" and "FOR SHARE" go in SQLite, where a transaction that
// writes is alone anyway; the latter is spelled differently in MySQL.
// "RETURNING id" and notWaiting stay in PostgreSQL only.
//
// In an UPDATE a column that is also read is set last: MySQL assigns from left
// to right.

const (
	schemaVersion = `
	SELECT MAX(version) FROM auth_schema`

	schemaCompatible = `
	SELECT compatible FROM auth_schema WHERE version = ?`

	// fixedRows counts the locks, once for each of the two counters.
	fixedRows = `
	SELECT COUNT(*) FROM auth_counters c, auth_locks l
	WHERE c.name IN ('users', 'cutoffs') AND l.slot BETWEEN 0 AND 1023`
)

// notWaiting ends an UPDATE that a crash may undo, because nobody gains by that. Its
// own commit, and no other, does not wait for the disk and for standbys. A set_config
// in a WITH would not be called.
const notWaiting = `
	RETURNING set_config('synchronous_commit', 'off', TRUE)`

// Locks, for steps whose rows do not exist yet: a slot stands for all families,
// users or keys that hash to it. Each purpose has its own, so that no purpose
// waits for another.
const (
	slots = 256 // of a purpose

	familySlots = 0 * slots // by the family's lowest byte
	userSlots   = 1 * slots // sessions of a user
	codeSlots   = 2 * slots // pending codes of a user and an application
	keySlots    = 3 * slots // counters of attempts

	allSlots = 4 * slots

	lockSlot = `
	SELECT slot FROM auth_locks WHERE slot = ? FOR UPDATE`

	// useSlot is lockSlot by a write. Where several nodes of a cluster write,
	// only writes are seen to be in each other's way.
	useSlot = `
	UPDATE auth_locks SET uses = uses + 1 WHERE slot = ?`

	// lockWriter matches no row. SQLite takes the write lock nevertheless, so
	// that no transaction reads first and finds later that it cannot write.
	lockWriter = `
	UPDATE auth_locks SET slot = slot WHERE slot < 0`
)

// Users.
const (
	userColumns = `
	u.id, u.name, u.email, u.first_name, u.last_name,
	u.is_admin, u.is_auditor, u.is_active, u.is_service, u.epoch, u.created_at`

	// joinedUser is userColumns where there may be no user.
	joinedUser = `
	COALESCE(u.id, ''), COALESCE(u.name, ''), COALESCE(u.email, ''),
	COALESCE(u.first_name, ''), COALESCE(u.last_name, ''),
	COALESCE(u.is_admin, FALSE), COALESCE(u.is_auditor, FALSE), COALESCE(u.is_active, FALSE),
	COALESCE(u.is_service, FALSE), COALESCE(u.epoch, 0), u.created_at`

	userByID = `
	SELECT` + userColumns + ` FROM auth_users u WHERE u.id = ?`

	userByName = `
	SELECT` + userColumns + ` FROM auth_users u WHERE u.name = ?`

	// userAndHash is userByName and passwordHash, for logins.
	userAndHash = `
	SELECT` + userColumns + `, u.password_hash FROM auth_users u WHERE u.name = ?`

	passwordHash = `
	SELECT password_hash FROM auth_users WHERE id = ?`

	swapPasswordHash = `
	UPDATE auth_users SET password_hash = ?, revision = revision + 1
	WHERE id = ? AND password_hash = ?`

	setPasswordHash = `
	UPDATE auth_users SET password_hash = ?, epoch = epoch + 1, revision = revision + 1
	WHERE id = ?`

	replacePassword = setPasswordHash + ` AND epoch = ?`

	nextUserID = `
	UPDATE auth_counters SET last_id = last_id + 1 WHERE name = 'users'`

	lastUserID = `
	SELECT last_id FROM auth_counters WHERE name = 'users'`

	skipUserIDs = `
	UPDATE auth_counters SET last_id = ? WHERE name = 'users' AND last_id < ?`

	insertUser = `
	INSERT INTO auth_users (
		id, id_number, name, email, first_name, last_name, is_admin, is_auditor,
		is_active, is_service, epoch, password_hash, created_at, revision)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', ?, 1)`

	updateUser = `
	UPDATE auth_users SET
		name = ?, email = ?, first_name = ?, last_name = ?, is_admin = ?, is_auditor = ?,
		epoch = CASE WHEN is_active AND NOT ? OR is_service <> ? THEN epoch + 1 ELSE epoch END,
		password_hash = CASE WHEN is_service <> ? THEN '' ELSE password_hash END,
		is_active = ?, is_service = ?, revision = revision + 1
	WHERE id = ?`

	deleteUser = `
	DELETE FROM auth_users WHERE id = ?`

	// otherAdmins counts no further than to one.
	otherAdmins = `
	SELECT COUNT(*) FROM (SELECT 1 FROM auth_users WHERE is_admin AND is_active AND NOT is_service AND id <> ? LIMIT 1) o`

	listUsers = `
	SELECT` + userColumns + ` FROM auth_users u`

	countUsers = `
	SELECT 1 AS one FROM auth_users u`
)

// Attempts.
const (
	// Followed by a list of keys. In one order, so that two steps do not wait for
	// each other.
	counters = `
	SELECT key_digest, started_at, ends_at, used, behind_at FROM auth_throttle WHERE key_digest`

	// countersMySQL is counters for MySQL, which would read a small table as a
	// whole, and wait for each row.
	countersMySQL = `
	SELECT key_digest, started_at, ends_at, used, behind_at FROM auth_throttle FORCE INDEX (PRIMARY) WHERE key_digest`

	lockInOrder = `
	ORDER BY key_digest FOR UPDATE`

	lockSlots = `
	SELECT slot FROM auth_locks WHERE slot`

	lockSlotsInOrder = `
	ORDER BY slot FOR UPDATE`

	// Followed by rows.
	insertCounters = `
	INSERT INTO auth_throttle (key_digest, started_at, ends_at, used, behind_at) VALUES `

	orError = ``

	orReplace = `
	ON CONFLICT (key_digest) DO UPDATE SET
		started_at = excluded.started_at, ends_at = excluded.ends_at, used = excluded.used, behind_at = excluded.behind_at`

	orReplaceMySQL = `
	ON DUPLICATE KEY UPDATE
		started_at = VALUES(started_at), ends_at = VALUES(ends_at), used = VALUES(used), behind_at = VALUES(behind_at)`

	rememberedKey = `
	SELECT until_at FROM auth_memories WHERE key_digest = ? AND until_at > ?`

	memoryOf = `
	SELECT until_at FROM auth_memories WHERE key_digest = ? FOR UPDATE`

	insertMemory = `
	INSERT INTO auth_memories (until_at, key_digest, group_digest) VALUES (?, ?, ?)`

	prolongMemory = `
	UPDATE auth_memories SET until_at = ? WHERE key_digest = ?`

	// There are at most a few more than are remembered, because a new key
	// replaces one.
	memoriesOf = `
	SELECT key_digest, until_at FROM auth_memories WHERE group_digest = ?
	ORDER BY until_at DESC, key_digest LIMIT 1000 FOR UPDATE`

	forgetMemory = `
	DELETE FROM auth_memories WHERE key_digest = ?`
)

// Attempts in PostgreSQL, where one statement is a whole step. A row that it locks
// it sees as the last commit left it, and not as it was when the statement began. A
// row that somebody inserts meanwhile is an error, after which nothing is done.
const (
	// chargeAtOnce is window.Enter for clocks that are not behind and counters that
	// are stored. It changes nothing unless all of them and all limits allow it.
	chargeAtOnce = `
	WITH asked (place, key, instead, unless, most, length, at) AS (VALUES
		(0, CAST(? AS BYTEA), CAST(? AS BYTEA), CAST(? AS BYTEA), CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT)),
		(1, ?, ?, ?, ?, ?, ?),
		(2, ?, ?, ?, ?, ?, ?),
		(3, ?, ?, ?, ?, ?, ?)
	), charged AS (
		SELECT a.place, a.most, a.length, a.at, m.key_digest IS NOT NULL AS known,
			CASE WHEN m.key_digest IS NULL THEN a.key ELSE a.instead END AS key
		FROM asked a LEFT JOIN auth_memories m ON m.key_digest = a.unless AND m.until_at > a.at
	), held AS (
		SELECT t.key_digest, t.started_at, t.ends_at, t.used FROM auth_throttle t
		WHERE t.key_digest IN (SELECT c.key FROM charged c)
		ORDER BY t.key_digest FOR UPDATE OF t
	), entered AS (
		SELECT c.place, c.known, c.key, c.most, c.length, c.at, h.started_at, h.ends_at, h.used,
			h.key_digest IS NOT NULL AS stored,
			COALESCE(c.at >= h.ends_at OR h.started_at = h.ends_at, TRUE) AS anew
		FROM charged c LEFT JOIN held h ON h.key_digest = c.key
		WHERE c.key IS NOT NULL
	), judged AS (
		SELECT e.place, e.known, e.key, e.most, e.at, e.stored, e.anew,
			CASE WHEN e.anew THEN e.at ELSE e.started_at END AS started_at,
			CASE WHEN e.anew THEN e.at + e.length ELSE e.ends_at END AS ends_at,
			CASE WHEN e.anew THEN 1 ELSE e.used + 1 END AS used
		FROM entered e
	), verdict AS (
		SELECT BOOL_AND(j.stored AND j.used <= j.most AND j.started_at <= j.at) AS allowed FROM judged j
	), updated AS (
		UPDATE auth_throttle AS t SET
			started_at = j.started_at, ends_at = j.ends_at, used = j.used,
			behind_at = CASE WHEN j.anew THEN NULL ELSE t.behind_at END
		FROM judged j, verdict v WHERE v.allowed AND t.key_digest = j.key
	)
	SELECT j.place, j.known, j.started_at, j.ends_at, j.stored, j.used <= j.most, v.allowed
	FROM judged j, verdict v ORDER BY j.place`

	// settleAtOnce returns a row if it has settled. It does nothing unless there
	// are as many counters as it is told, and the key is remembered already.
	settleAtOnce = `
	WITH asked (key, started_at) AS (VALUES
		(CAST(? AS BYTEA), CAST(? AS BIGINT)), (?, ?), (?, ?), (?, ?)
	), held AS (
		SELECT t.key_digest, t.started_at, t.used FROM auth_throttle t
		WHERE t.key_digest IN (SELECT a.key FROM asked a)
		ORDER BY t.key_digest FOR UPDATE OF t
	), known AS (
		SELECT m.key_digest FROM auth_memories m
		WHERE m.key_digest = ? AND (SELECT COUNT(*) FROM held) = ? FOR UPDATE
	), settled AS (
		UPDATE auth_throttle AS t SET
			used = CASE WHEN a.started_at IS NULL THEN 0 ELSE h.used - 1 END,
			ends_at = CASE WHEN a.started_at IS NULL THEN t.started_at ELSE t.ends_at END,
			behind_at = CASE WHEN a.started_at IS NULL THEN NULL ELSE t.behind_at END
		FROM known k, held h, asked a
		WHERE t.key_digest = h.key_digest AND a.key = h.key_digest
			AND (a.started_at IS NULL OR a.started_at = h.started_at AND h.used > 0)
	)
	UPDATE auth_memories AS m SET until_at = GREATEST(m.until_at, ?)
	FROM known k WHERE m.key_digest = k.key_digest` + notWaiting
)

// Attempts in MySQL, where one statement can change several counters together, or
// none of them; see attempts_mysql.go, which joins them.
const (
	// countersSeen also returns which keys are remembered.
	countersSeen = `
	SELECT 0, t.key_digest, t.started_at, t.ends_at, t.used, t.behind_at
	FROM auth_throttle t FORCE INDEX (PRIMARY) WHERE t.key_digest IN (?, ?, ?, ?)
	UNION ALL
	SELECT 1, m.key_digest, m.until_at, 0, 0, NULL
	FROM auth_memories m FORCE INDEX (PRIMARY) WHERE m.key_digest IN (?, ?, ?, ?) AND m.until_at > ?`

	asSeen   = `t.key_digest = ? AND t.started_at = ? AND t.ends_at = ? AND t.used = ? AND t.behind_at <=> ?`
	toWindow = `t.started_at = ?, t.ends_at = ?, t.used = ?, t.behind_at = ?`

	// settleOne gives an attempt back in the window that began at an instant, or
	// without one forgets all of them. No assignment reads what another one sets,
	// because their order is not known.
	settleOne = `
		t.used = CASE WHEN ? IS NULL THEN 0 WHEN t.started_at = ? AND t.used > 0 THEN t.used - 1 ELSE t.used END,
		t.ends_at = CASE WHEN ? IS NULL THEN t.started_at ELSE t.ends_at END,
		t.behind_at = CASE WHEN ? IS NULL THEN NULL ELSE t.behind_at END`

	prolongJoined = `
	UPDATE auth_memories m`
	prolongSet = `
	SET m.until_at = GREATEST(m.until_at, ?)`
	prolongWhere = `
	WHERE m.key_digest = ?`
)

// Purges look first and delete what they found if it is still so: MySQL does not
// take a limited subquery.
const (
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
	SELECT key_digest FROM auth_throttle WHERE ends_at < ? ORDER BY ends_at LIMIT ?`

	deleteAttempts = `
	DELETE FROM auth_throttle WHERE key_digest = ? AND ends_at < ?`

	endedMemories = `
	SELECT key_digest FROM auth_memories WHERE until_at < ? ORDER BY until_at LIMIT ?`

	deleteMemory = `
	DELETE FROM auth_memories WHERE key_digest = ? AND until_at < ?`
)

// preparedQueries are the complete statements. Those of lists and selections
// are composed and prepared when they are needed.
func preparedQueries(d Dialect) []string {
	queries := []string{
		lockSlot, useSlot, lockWriter, userByID, userByName, userAndHash, passwordHash, swapPasswordHash, setPasswordHash, replacePassword,
		nextUserID, lastUserID, skipUserIDs, insertUser, updateUser, otherAdmins,
		lineageState, tokenByDigest, tokenByID, tokenByRefresh, tokenByGrant, tokenByFamily,
		insertSuccessor, updateToken, touchToken, spendRefresh, deleteSpentBefore, expiringTokens,
		nextCutoff, deleteCutoff, insertCutoff, cutoffByKey, cutoffsToMark, moveCutoff, dropCutoff,
		insertCode, codeByDigest, lockCode, spendCode, redeemCode, codeFamily,
		insertDevice, deviceByUserCode, lockDevice, decideDevice, pollDevice, redeemDevice, deviceFamily,
		deleteConsent, insertConsent, consentFor, withdrawConsents, deleteUserConsents,
		applicationByID, applicationByClientID, insertApplication, updateApplication, deleteApplication,
		sessionByDigest, sessionAndUser, insertSession,
		otherSessions, olderSessions, saveSession, touchSession,
		rememberedKey, memoryOf, insertMemory, prolongMemory, memoriesOf, forgetMemory, endedMemories, deleteMemory, tokensToPurge, postponeToken, endedCodes, deleteCode, endedDevices,
		deleteDevice, goneSessions, deleteSession, endedAttempts, deleteAttempts,
		insertActivity, activitiesBeyond, oldActivities, deleteActivity,
	}
	for _, h := range insertShapes() {
		queries = append(queries, h.statement(d).query)
	}
	queries = append(queries, countersQuery(d, mostKeys), lockSlotsQuery(mostKeys))
	for n := range mostKeys {
		queries = append(queries, insertCountersQuery(n+1, replaceBy(d)))
		if d == MySQL {
			queries = append(queries, insertCountersQuery(n+1, orError), swapCounters(n+1), settleCounters(n+1))
		}
	}
	switch d {
	case MySQL:
		queries = append(queries, accessByDigestMySQL, accessAndUserMySQL, familyByRefreshMySQL, cutByID, countersSeen,
			insertAllowed, foundFamily, insertFewSessions)
	case Postgres:
		queries = append(queries, accessByDigestPostgres, accessAndUserPostgres, familyByRefresh,
			chargeAtOnce, settleAtOnce, insertSessionAtOnce, rotateAtOnce)
	default:
		queries = append(queries, accessByDigest, accessAndUser, familyByRefresh, insertFewSessions)
	}
	return append(queries, owned(d), crowded(d))
}
