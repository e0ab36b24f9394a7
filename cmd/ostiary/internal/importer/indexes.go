package importer

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/ostiary/auth/store/sqlstore"
)

// indexesTable has the definitions of the indexes that were dropped and are to be made
// again.
const indexesTable = `import_indexes`

func (t *target) indexes() string { return t.prefix() + indexesTable }

// dropIndexes drops the indexes of tokens that an import does not read. To make them
// again for all tokens takes a tenth of what keeping them takes. They are remembered in
// the same transaction, so that a run that is killed loses none.
func (t *target) dropIndexes(ctx context.Context) error {
	if t.db.Dialect != sqlstore.Postgres {
		return errors.New("indexes are rebuilt in PostgreSQL only")
	}
	return t.inTx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS `+t.indexes()+` (name TEXT PRIMARY KEY, definition TEXT NOT NULL)`); err != nil {
			return err
		}
		found, err := pairs(ctx, tx, `SELECT c.relname, pg_get_indexdef(i.indexrelid) FROM pg_catalog.pg_index i
			JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
			WHERE i.indrelid = to_regclass($1) AND NOT i.indisunique ORDER BY c.relname`, t.prefix()+"tokens")
		if err != nil {
			return err
		}
		for _, index := range found {
			if _, err := tx.ExecContext(ctx, `INSERT INTO `+t.indexes()+` (name, definition) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`, index[0], index[1]); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `DROP INDEX "`+index[0]+`"`); err != nil {
				return err
			}
		}
		return nil
	})
}

// makeIndexes makes the indexes that this run or an earlier one dropped. Each is made
// and forgotten in one transaction.
func (t *target) makeIndexes(ctx context.Context) error {
	if t.dry || t.db.Dialect != sqlstore.Postgres {
		return nil
	}
	var exists bool
	if err := t.db.Pool.QueryRowContext(ctx, `SELECT to_regclass($1) IS NOT NULL`, t.indexes()).Scan(&exists); err != nil || !exists {
		return err
	}
	for {
		done := false
		err := t.inTx(ctx, func(tx *sql.Tx) error {
			left, err := pairs(ctx, tx, `SELECT name, definition FROM `+t.indexes()+` ORDER BY name LIMIT 1 FOR UPDATE`)
			if done = err == nil && len(left) == 0; err != nil || done {
				return err
			}
			for _, step := range []string{`SET LOCAL maintenance_work_mem = '256MB'`, left[0][1]} {
				if _, err := tx.ExecContext(ctx, step); err != nil {
					return fmt.Errorf("make the index %s: %w", left[0][0], err)
				}
			}
			_, err = tx.ExecContext(ctx, `DELETE FROM `+t.indexes()+` WHERE name = $1`, left[0][0])
			return err
		})
		if err != nil || done {
			return err
		}
	}
}

// inTx runs a step in a transaction.
func (t *target) inTx(ctx context.Context, step func(tx *sql.Tx) error) error {
	tx, err := t.db.Pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // which does nothing after the commit
	if err := step(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// pairs reads rows of two texts.
func pairs(ctx context.Context, tx *sql.Tx, query string, args ...any) (all [][2]string, err error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var p [2]string
		if err := rows.Scan(&p[0], &p[1]); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, rows.Err()
}
