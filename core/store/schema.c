#include "store/internal.h"

/* Each entry takes the schema from its index to the next; entries are never edited once released, only added. */
static const char *const migrations[] = {
	/* 0 -> 1 */
	"CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE workspaces(seq INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, id TEXT NOT NULL "
	"UNIQUE,"
	" created INTEGER NOT NULL, doc TEXT NOT NULL);"
	"CREATE TABLE ports(port INTEGER PRIMARY KEY, workspace TEXT NOT NULL UNIQUE);"
	/* base: the first address of the /28 as a number */
	"CREATE TABLE subnets(base INTEGER PRIMARY KEY, owner TEXT NOT NULL UNIQUE);"
	"CREATE TABLE operations(seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, workspace TEXT, open "
	"INTEGER NOT NULL,"
	" doc TEXT NOT NULL);"
	"CREATE INDEX operations_open ON operations(seq) WHERE open;"
	"CREATE INDEX operations_workspace ON operations(workspace, seq);"
	"CREATE TABLE steps(op TEXT NOT NULL, pos INTEGER NOT NULL, step TEXT NOT NULL, label TEXT, status TEXT NOT "
	"NULL, message TEXT,"
	" started INTEGER, ended INTEGER, data TEXT, PRIMARY KEY(op, step)) WITHOUT ROWID;"
	"CREATE TABLE events(id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, doc TEXT NOT NULL);"
	"CREATE TABLE decisions(id INTEGER PRIMARY KEY AUTOINCREMENT, workspace TEXT, point TEXT, doc TEXT NOT NULL);"
	"CREATE INDEX decisions_workspace ON decisions(workspace, id);"
	"CREATE TABLE kv(scope TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY(scope, key)) WITHOUT "
	"ROWID;",
	/* 1 -> 2: a workspace may have several, and a row outlives its workspace */
	"CREATE TABLE outbox(id INTEGER PRIMARY KEY AUTOINCREMENT, workspace TEXT, doc TEXT NOT NULL);"
	"CREATE INDEX outbox_workspace ON outbox(workspace);",
};

#define SCHEMA ((int)(sizeof migrations / sizeof *migrations))

static int version_of(struct db *db, int *out, struct perry_err **err)
{
	sqlite3_stmt *st = db_query(db, err, "PRAGMA user_version", "");
	int rc = st ? db_step(db, st, err) : -1;
	if (rc < 0)
		return -1;
	*out = rc ? sqlite3_column_int(st, 0) : 0;
	sqlite3_reset(st);
	return 0;
}

static int migrate_one(struct db *db, int from, struct perry_err **err)
{
	char mark[48];
	sqlite3_snprintf(sizeof mark, mark, "PRAGMA user_version=%d; COMMIT", from + 1);
	if (db_exec(db, "BEGIN IMMEDIATE", err))
		return -1;
	if (db_exec(db, migrations[from], err) == 0 && db_exec(db, mark, err) == 0)
		return 0;
	sqlite3_exec(db->h, "ROLLBACK", NULL, NULL, NULL);
	return -1;
}

int schema_migrate(struct db *db, struct perry_err **err)
{
	int version = 0;
	if (version_of(db, &version, err))
		return -1;
	if (version > SCHEMA || version < 0)
		return perry_fail(err, PERRY_ESTATE,
				  "%s has schema %d, this perry knows up to %d: it was written by a newer perry",
				  db->path, version, SCHEMA);
	for (; version < SCHEMA; version++)
		if (migrate_one(db, version, err))
			return perry_wrap(err, "migrating to schema %d", version + 1);
	return 0;
}
