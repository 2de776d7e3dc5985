/* What must be unique on the machine: SSH ports and subnets. The constraint is the database's; a claim looks for the
 * lowest free one inside the writer's transaction, so two at once cannot find the same. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "store/internal.h"

struct port_claim {
	const char *ws;
	int min, max;
	const int *avoid;
	int port;
};

static bool avoided(const int *avoid, int port)
{
	for (; avoid && *avoid; avoid++)
		if (*avoid == port)
			return true;
	return false;
}

/* 1 with *value when the query gives a row, 0 when none, -1. */
static int one_int(struct db *db, sqlite3_stmt *st, int64_t *value, struct perry_err **err)
{
	int rc = st ? db_step(db, st, err) : -1;
	if (rc > 0) {
		*value = sqlite3_column_int64(st, 0);
		sqlite3_reset(st);
	}
	return rc;
}

static int lowest_free(struct db *db, const struct port_claim *c, int *port, struct perry_err **err)
{
	int next = c->min, rc;
	sqlite3_stmt *st =
		db_query(db, err, "SELECT port FROM ports WHERE port BETWEEN ? AND ? AND workspace <> ? ORDER BY port",
			 "iis", (int64_t)c->min, (int64_t)c->max, c->ws);
	if (!st)
		return -1;
	do {
		rc = db_step(db, st, err);
		if (rc < 0)
			return -1;
		int taken = rc ? sqlite3_column_int(st, 0) : c->max + 1;
		for (; next < taken; next++) {
			if (!avoided(c->avoid, next)) {
				sqlite3_reset(st);
				*port = next;
				return 0;
			}
		}
		next = taken + 1;
	} while (rc);
	return perry_fail(err, PERRY_ECONFLICT,
			  "no free SSH port in %d-%d: delete a workspace or widen sshPortRange in config.json", c->min,
			  c->max);
}

/* The port is part of the record as well ("ports"."ssh"), in the same transaction. */
static int record_port(struct db *db, cJSON *doc, const char *ws, int port, struct perry_err **err)
{
	json_set_int(json_obj(doc, "ports"), "ssh", port);
	return ws_save(db, ws, doc, err);
}

static int do_port(struct db *db, void *arg, struct perry_err **err)
{
	struct port_claim *c = arg;
	int64_t have = 0;
	cleanup_json cJSON *doc = NULL;
	if (ws_load(db, c->ws, &doc, err))
		return -1;
	int rc = one_int(db, db_query(db, err, "SELECT port FROM ports WHERE workspace = ?", "s", c->ws), &have, err);
	if (rc < 0)
		return -1;
	c->port = (int)have;
	if (!rc || have < c->min || have > c->max || avoided(c->avoid, (int)have)) {
		if (lowest_free(db, c, &c->port, err) ||
		    db_run(db, err,
			   "INSERT INTO ports(port, workspace) VALUES(?, ?) ON CONFLICT(workspace) DO UPDATE SET port "
			   "= excluded.port",
			   "is", (int64_t)c->port, c->ws))
			return -1;
	}
	return json_int_or(doc, "ports.ssh", 0) == c->port ? 0 : record_port(db, doc, c->ws, c->port, err);
}

int store_port_claim(struct store *s, const char *ws, int min, int max, const int *avoid, int *port,
		     struct perry_err **err)
{
	if (min < 1 || max > 65535 || min > max)
		return perry_fail(err, PERRY_EINPUT, "sshPortRange: %d-%d is no range of ports", min, max);
	struct port_claim c = { .ws = ws, .min = min, .max = max, .avoid = avoid };
	if (store_write(s, do_port, &c, err))
		return -1;
	*port = c.port;
	return 0;
}

#define SUBNET_BITS 28
#define SUBNET_SIZE 16u

struct range {
	uint32_t first, last; /* addresses, inclusive */
};

static int parse_cidr(const char *text, struct range *out)
{
	char addr[20];
	unsigned bits;
	char rest;
	struct in_addr in;
	const char *slash = strchr(text, '/');
	if (!slash || slash - text >= (long)sizeof addr || sscanf(slash + 1, "%2u%c", &bits, &rest) != 1 || bits > 32)
		return -1;
	snprintf(addr, sizeof addr, "%.*s", (int)(slash - text), text);
	if (inet_pton(AF_INET, addr, &in) != 1)
		return -1;
	uint32_t mask = bits ? ~0u << (32 - bits) : 0;
	out->first = ntohl(in.s_addr) & mask;
	out->last = out->first | ~mask;
	return 0;
}

static void cidr_text(uint32_t base, char out[20])
{
	snprintf(out, 20, "%u.%u.%u.%u/%d", base >> 24, base >> 16 & 255, base >> 8 & 255, base & 255, SUBNET_BITS);
}

struct subnet_claim {
	const char *owner, *range_text;
	struct range range;
	struct range *skip;
	size_t nskip;
	uint32_t base;
};

/* The last address of a range to skip that overlaps the /28 at base, or 0. */
static uint32_t skipped_until(const struct subnet_claim *c, uint32_t base)
{
	uint32_t until = 0;
	for (size_t i = 0; i < c->nskip; i++)
		if (c->skip[i].first <= base + (SUBNET_SIZE - 1) && base <= c->skip[i].last && c->skip[i].last > until)
			until = c->skip[i].last;
	return until;
}

static int free_subnet(struct db *db, struct subnet_claim *c, struct perry_err **err)
{
	sqlite3_stmt *st = db_query(db, err, "SELECT base FROM subnets WHERE base BETWEEN ? AND ? ORDER BY base", "ii",
				    (int64_t)c->range.first, (int64_t)c->range.last);
	if (!st)
		return -1;
	int64_t next = c->range.first, taken = -1;
	int rc = 1;
	while (next + SUBNET_SIZE - 1 <= c->range.last) {
		while (rc && taken < next) {
			rc = db_step(db, st, err);
			if (rc < 0)
				return -1;
			taken = rc ? sqlite3_column_int64(st, 0) : INT64_MAX;
		}
		uint32_t skip = skipped_until(c, (uint32_t)next);
		if (taken == next) {
			next += SUBNET_SIZE;
		} else if (skip) {
			next = ((int64_t)skip / SUBNET_SIZE + 1) * SUBNET_SIZE;
		} else {
			sqlite3_reset(st);
			c->base = (uint32_t)next;
			return 0;
		}
	}
	return perry_fail(err, PERRY_ECONFLICT,
			  "no free /%d network in %s: delete a workspace or widen networkRange in config.json",
			  SUBNET_BITS, c->range_text);
}

static int do_subnet(struct db *db, void *arg, struct perry_err **err)
{
	struct subnet_claim *c = arg;
	int64_t have = 0;
	int rc = one_int(db, db_query(db, err, "SELECT base FROM subnets WHERE owner = ?", "s", c->owner), &have, err);
	if (rc < 0)
		return -1;
	c->base = (uint32_t)have;
	if (rc)
		return 0;
	if (free_subnet(db, c, err))
		return -1;
	return db_run(db, err, "INSERT INTO subnets(base, owner) VALUES(?, ?)", "is", (int64_t)c->base, c->owner);
}

int store_subnet_claim(struct store *s, const char *owner, const char *range, const char *const *skip,
		       char subnet_out[20], struct perry_err **err)
{
	struct subnet_claim c = { .owner = owner, .range_text = range };
	if (parse_cidr(range, &c.range) || c.range.last - c.range.first < SUBNET_SIZE - 1)
		return perry_fail(err, PERRY_EINPUT,
				  "networkRange: \"%s\" is no IPv4 range of at least a /%d (like 10.213.0.0/16)", range,
				  SUBNET_BITS);
	for (const char *const *p = skip; p && *p; p++)
		c.nskip++;
	cleanup_free struct range *skips = xcalloc(c.nskip + 1, sizeof *skips);
	c.skip = skips;
	c.nskip = 0;
	for (const char *const *p = skip; p && *p; p++)
		if (parse_cidr(*p, &skips[c.nskip]) == 0)
			c.nskip++;
	if (store_write(s, do_subnet, &c, err))
		return -1;
	cidr_text(c.base, subnet_out);
	return 0;
}

static int do_release(struct db *db, void *arg, struct perry_err **err)
{
	return db_run(db, err, "DELETE FROM subnets WHERE owner = ?", "s", (const char *)arg);
}

int store_subnet_release(struct store *s, const char *owner, struct perry_err **err)
{
	return store_write(s, do_release, (void *)owner, err);
}

int store_subnets(struct store *s, cJSON **out, struct perry_err **err)
{
	struct db *db = store_reader(s, err);
	if (!db)
		return -1;
	cleanup_json cJSON *all = cJSON_CreateArray();
	sqlite3_stmt *st = db_query(db, err, "SELECT owner, base FROM subnets ORDER BY base", "");
	int rc = st ? 0 : -1;
	while (st && (rc = db_step(db, st, err)) == 1) {
		char text[20];
		cJSON *row = cJSON_CreateObject();
		cidr_text((uint32_t)sqlite3_column_int64(st, 1), text);
		json_set_str(row, "owner", db_text(st, 0));
		json_set_str(row, "subnet", text);
		json_push(all, row);
	}
	store_reader_done(s, db);
	*out = rc ? NULL : take_ptr(all);
	return rc;
}
