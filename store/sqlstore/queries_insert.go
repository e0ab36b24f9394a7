package sqlstore

// Inserts of tokens. What must hold for one is a condition of its statement. Where a
// statement is made for an [insertShape], its values have names, see named.
const (
	insertColumns = `
		digest, user_id, application_id, scopes, audience, addresses, epoch, description,
		created_at, modified_at, expires_at, last_used_at, revoked_at, refresh_digest,
		refresh_scopes, refresh_expires_at, grant_expires_at, refresh_spent_at,
		refresh_nonce, refresh_grant, ends_at, purge_at, grant_created_at,
		parent_id, independent, root_id, ancestors, via_id, seq, refresh_number, successor_id, minted, revision)`

	// insertToken inserts nothing unless the conditions behind it hold. The
	// token's number is that of the code or device that pays for it, or of the
	// newest cut-off.
	insertToken = `
	INSERT INTO auth_tokens (family,` + insertColumns + `
	SELECT`
	insertedWith = `
	FROM auth_counters n WHERE n.name = 'cutoffs'`

	// insertAtOnce is insertToken with the ID that the token gets, which saves the
	// second statement for a new family. That is asked for once, whatever the plan is:
	// PostgreSQL never looks into a subquery with an OFFSET.
	insertAtOnce = `
	INSERT INTO auth_tokens (id, family,` + insertColumns + `
	OVERRIDING SYSTEM VALUE`
	insertWithID = `
	SELECT id,`
	insertedWithID = `
	FROM (
		SELECT nextval(pg_get_serial_sequence('auth_tokens', 'id')) AS id, c.last_id
		FROM auth_counters c`
	whereCounter = `
		WHERE c.name = 'cutoffs'`
	insertedAlone = whereCounter + ` OFFSET 0`
	insertedEnd   = `
	) n WHERE TRUE`
	returningID = `
	RETURNING id`

	// insertedBelow is insertedAlone below a parent, see conditionsOfParent. To join it takes
	// less time than to ask whether it exists, and lets the number of the newest cut-off,
	// which is read anyway, tell that none can have ended it. A parent has one live token.
	insertedBelow = `, auth_tokens t` + whereCounter
	belowUncut    = `
			AND (t.seq = c.last_id OR ` + notCut + `)
		LIMIT 1`

	// insertAtOnceSQLite takes the ID that AUTOINCREMENT would give it. Nobody else
	// writes. A connection on which the host has made a temporary table with
	// AUTOINCREMENT has a second sqlite_sequence, which goes before that of the file.
	insertAtOnceSQLite = `
	WITH i AS (SELECT 1 + MAX(
		COALESCE((SELECT seq FROM main.sqlite_sequence WHERE name = 'auth_tokens'), 0),
		COALESCE((SELECT MAX(t.id) FROM auth_tokens t), 0)) AS id)
	INSERT INTO auth_tokens (id, family,` + insertColumns
	insertedWithIDSQLite = `
	FROM i, auth_counters n WHERE n.name = 'cutoffs'`

	// insertSuccessor is insertToken for a rotation, where everything is known.
	insertSuccessor = `
	INSERT INTO auth_tokens (family,` + insertColumns + `
	VALUES (?,` + knownValues + ` ?,` + insertEnd + `)` + returningID

	// knownValues are those of appendKnown.
	knownValues = `
		?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,`
	firstOfGrant = ` 0,`
	insertEnd    = ` 0, FALSE, 1`

	// The family of a token that founds one, in PostgreSQL and SQLite, and of any.
	ownFamily = ` id,`
	noFamily  = ` 0,`
	anyFamily = ` COALESCE(NULLIF(CAST(?family AS BIGINT), 0), id),`
	asFamily  = ` ?family,`

	// The values of the token itself: a new one without a refresh token, a new one with
	// it, and any. The first two are for a token with an application.
	newValues = `
		?digest, ?user_id, ?application_id, ?scopes, ?audience, ?addresses, ?epoch, ?description,
		?created_at, ?created_at, ?expires_at, NULL, NULL,`
	plainEnd = ` NULL,
		'', NULL, NULL, NULL, NULL, NULL, ?expires_at, ?expires_at, NULL,`
	refreshedEnd = ` ?refresh_digest,
		?refresh_scopes, ?refresh_expires_at, ?grant_expires_at, NULL, NULL, ?refresh_grant, ?ends_at, ?ends_at, ?created_at,`
	anyValues = `
		?digest, ?user_id, ?application_id, ?scopes, ?audience, ?addresses, ?epoch, ?description,
		?created_at, ?modified_at, ?expires_at, ?last_used_at, ?revoked_at, ?refresh_digest,
		?refresh_scopes, ?refresh_expires_at, ?grant_expires_at, ?refresh_spent_at,
		?refresh_nonce, ?refresh_grant, ?ends_at, ?purge_at, ?grant_created_at,`

	// Where a token stands that nobody minted, one that a token minted which nobody
	// minted, and any other.
	placeAlone = `
		0, FALSE, 0, '', 0,`
	placeRooted = `
		?parent_id, ?independent, ?parent_id, ?ancestors, 0,`
	placeOfAny = `
		?parent_id, ?independent, ?root_id, ?ancestors, ?via_id,`

	// The number of a token that a code or a device pays for, of another, and of one
	// whose parent was looked up before.
	paidNumber = `
		COALESCE(
			(SELECT p.seq FROM auth_codes p WHERE p.digest = ?payer),
			(SELECT q.seq FROM auth_devices q WHERE q.digest = ?payer), n.last_id),`
	newestCut   = ` n.last_id,`
	knownNumber = ` ?seq,`

	andServed = `
		AND EXISTS (SELECT 1 FROM auth_applications a WHERE a.id = ?application_id AND NOT a.disabled)`

	// andParent is about the parent. See conditionsOfParent for what follows.
	andParent = `
		AND EXISTS (
			SELECT 1 FROM auth_tokens t
			WHERE TRUE`
	andParentUncut = `
				AND ` + cutToken + ` IS NULL)`
	livingParent = `
				AND t.family = ?parent_id AND t.revoked_at IS NULL AND t.expires_at > ?created_at
				AND COALESCE(t.digest = ?parent_digest, TRUE) AND COALESCE(t.scopes = ?parent_scopes, TRUE)`
	outlives = ` AND t.expires_at >= ?`

	// byRoot is a parent that nobody minted. For a child without an application it
	// must have none either. PostgreSQL would look for one among all personal tokens by
	// their expiry, if it believes that there are few, unless the application is
	// computed.
	byRoot = `
				AND t.parent_id = 0 AND NOT t.independent`
	byRootAlone = byRoot + ` AND t.application_id + 0 = 0 AND t.via_id = 0`

	// liveBelow has a row for each live descendant of a root. Every column that it reads is in
	// their index, so that PostgreSQL does not look into the table.
	liveBelow = `
			SELECT 1 FROM auth_tokens d
			WHERE d.root_id = ? AND d.root_id <> 0 AND d.revoked_at IS NULL AND d.expires_at > ?`

	// andRoom stands around crowded and owned.
	andRoom = `
		AND (`
	andRoomEnd = `) IS NULL`

	foundFamily = `
	UPDATE auth_tokens SET family = id WHERE id = ?`

	// insertFounder inserts, for MySQL, a token of a new family, whose ID is known only
	// when the row is there. So the row comes twice, and the second one makes the ID of
	// the first its family. Where a unique value is taken, nothing changes.
	insertFounder = `
	INSERT INTO auth_tokens (family,` + insertColumns + `
	SELECT` + noFamily
	founderTwice = `
	FROM (SELECT 1 UNION ALL SELECT 2) twice`
	founderCounter = `, auth_counters n
	WHERE n.name = 'cutoffs'`
	founderFamily = `
	ON DUPLICATE KEY UPDATE family = CASE WHEN auth_tokens.family = 0 THEN auth_tokens.id ELSE auth_tokens.family END`
	founderChanges = 3 // rows: one that is inserted, and two for one that is changed

	// insertAllowed is insertFounder with the number that is known.
	insertAllowed = insertFounder + knownValues + firstOfGrant + insertEnd + founderTwice + founderFamily

	// mayInsert begins what reads whether the conditions hold, with the number of the
	// newest cut-off.
	mayInsert = `
	SELECT n.last_id`

	// Only in READ COMMITTED does a statement that inserts read without locks: in what is
	// the default of MySQL it locks all that it reads and the gaps between, and the logins
	// of several users are in each other's way. A statement that only reads may do so in
	// any isolation that hides what is not committed: the number of a cut-off that cannot
	// be seen yet, for instance.
	andReadsCommitted = `
		AND @@transaction_isolation = 'READ-COMMITTED'`
	andHidesUncommitted = `
		AND @@transaction_isolation <> 'READ-UNCOMMITTED'`
)
