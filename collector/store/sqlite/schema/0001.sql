CREATE TABLE accounts (
  id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
  created INTEGER NOT NULL, closed INTEGER NOT NULL DEFAULT 0);
CREATE TABLE attributes (
  account INTEGER NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, number REAL,
  PRIMARY KEY (account, name)) WITHOUT ROWID;
CREATE INDEX attributes_name ON attributes (name, number, value);

CREATE TABLE installations (
  id INTEGER PRIMARY KEY, account INTEGER NOT NULL, key TEXT NOT NULL, environment TEXT NOT NULL,
  zone TEXT NOT NULL DEFAULT '', created INTEGER NOT NULL, simulated INTEGER NOT NULL DEFAULT 0,
  first_report INTEGER NOT NULL DEFAULT 0, last_report INTEGER NOT NULL DEFAULT 0,
  last_checkin INTEGER NOT NULL DEFAULT 0, version TEXT NOT NULL DEFAULT '', skew INTEGER NOT NULL DEFAULT 0,
  agents INTEGER NOT NULL DEFAULT 0, statement BLOB NOT NULL DEFAULT x'', statement_number INTEGER NOT NULL DEFAULT 0,
  catalog_name TEXT NOT NULL DEFAULT '', catalog_version INTEGER NOT NULL DEFAULT 0,
  consent TEXT NOT NULL DEFAULT '{}', paused INTEGER NOT NULL DEFAULT 0,
  batches INTEGER NOT NULL DEFAULT 0, cells INTEGER NOT NULL DEFAULT 0, aside INTEGER NOT NULL DEFAULT 0,
  refused INTEGER NOT NULL DEFAULT 0, losses INTEGER NOT NULL DEFAULT 0,
  UNIQUE (account, key));
CREATE INDEX installations_report ON installations (last_report);

CREATE TABLE tokens (
  id BLOB PRIMARY KEY, pub BLOB NOT NULL, installation INTEGER NOT NULL, max_uses INTEGER NOT NULL,
  uses INTEGER NOT NULL DEFAULT 0, created INTEGER NOT NULL, expires INTEGER NOT NULL,
  revoked INTEGER NOT NULL DEFAULT 0, by TEXT NOT NULL DEFAULT '') WITHOUT ROWID;
CREATE TABLE agents (
  id BLOB PRIMARY KEY, pub BLOB NOT NULL, installation INTEGER NOT NULL, token BLOB NOT NULL,
  joined INTEGER NOT NULL, revoked INTEGER NOT NULL DEFAULT 0, last_checkin INTEGER NOT NULL DEFAULT 0,
  version TEXT NOT NULL DEFAULT '', skew INTEGER NOT NULL DEFAULT 0, simulated INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE INDEX agents_installation ON agents (installation, joined);
CREATE TABLE statements (
  hash BLOB PRIMARY KEY, installation INTEGER NOT NULL, agent BLOB NOT NULL, number INTEGER NOT NULL,
  raw BLOB NOT NULL, sig BLOB NOT NULL, received INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX statements_installation ON statements (installation, agent, number);
CREATE TABLE catalogs (
  hash BLOB PRIMARY KEY, name TEXT NOT NULL, version INTEGER NOT NULL, raw BLOB NOT NULL, sig BLOB NOT NULL,
  added INTEGER NOT NULL, UNIQUE (name, version));

-- Names of rows of figures. texts is a JSON list for facts.
CREATE TABLE series (
  id INTEGER PRIMARY KEY, measure TEXT NOT NULL, hash TEXT NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL,
  category TEXT NOT NULL, field INTEGER NOT NULL, grain INTEGER NOT NULL, dims TEXT NOT NULL, texts TEXT NOT NULL,
  UNIQUE (measure, hash, field, grain, dims));
-- The figures. hi NULL: equal to lo when exact or noised, else an open top.
CREATE TABLE cells (
  installation INTEGER NOT NULL, series INTEGER NOT NULL, start INTEGER NOT NULL, form INTEGER NOT NULL,
  lo REAL, hi REAL, blob BLOB, PRIMARY KEY (installation, series, start)) WITHOUT ROWID;
CREATE TABLE latest (
  installation INTEGER NOT NULL, series INTEGER NOT NULL, start INTEGER NOT NULL, form INTEGER NOT NULL,
  lo REAL, hi REAL, first INTEGER NOT NULL, n INTEGER NOT NULL,
  PRIMARY KEY (installation, series)) WITHOUT ROWID;
CREATE INDEX latest_series ON latest (series, installation);
CREATE TABLE coverage (
  series INTEGER NOT NULL, form INTEGER NOT NULL, n INTEGER NOT NULL, newest INTEGER NOT NULL,
  PRIMARY KEY (series, form)) WITHOUT ROWID;

-- Roll-ups. A line is a figure of a measure whatever the grain it came in.
CREATE TABLE lines (
  id INTEGER PRIMARY KEY, measure TEXT NOT NULL, hash TEXT NOT NULL, kind TEXT NOT NULL, field INTEGER NOT NULL,
  UNIQUE (measure, hash, field));
CREATE TABLE installation_periods (
  installation INTEGER NOT NULL, line INTEGER NOT NULL, period INTEGER NOT NULL, start INTEGER NOT NULL,
  grain INTEGER NOT NULL, lo REAL NOT NULL, hi REAL, exact INTEGER NOT NULL, banded INTEGER NOT NULL,
  suppressed INTEGER NOT NULL, unknown INTEGER NOT NULL,
  PRIMARY KEY (installation, line, period, start, grain)) WITHOUT ROWID;
CREATE TABLE account_periods (
  account INTEGER NOT NULL, line INTEGER NOT NULL, period INTEGER NOT NULL, environment TEXT NOT NULL,
  start INTEGER NOT NULL, lo REAL NOT NULL, hi REAL, exact INTEGER NOT NULL, banded INTEGER NOT NULL,
  suppressed INTEGER NOT NULL, unknown INTEGER NOT NULL, windows INTEGER NOT NULL,
  PRIMARY KEY (account, line, period, environment, start)) WITHOUT ROWID;
-- The newest week of each line that told something: what lists rank by.
CREATE TABLE account_newest (
  account INTEGER NOT NULL, line INTEGER NOT NULL, environment TEXT NOT NULL, start INTEGER NOT NULL, lo REAL NOT NULL,
  PRIMARY KEY (account, line, environment)) WITHOUT ROWID;
-- hi is the sum of the closed tops; open counts accounts whose top is open.
CREATE TABLE fleet_periods (
  line INTEGER NOT NULL, period INTEGER NOT NULL, environment TEXT NOT NULL, start INTEGER NOT NULL,
  lo REAL NOT NULL, hi REAL NOT NULL, open INTEGER NOT NULL, exact INTEGER NOT NULL, banded INTEGER NOT NULL,
  suppressed INTEGER NOT NULL, unknown INTEGER NOT NULL, windows INTEGER NOT NULL,
  PRIMARY KEY (line, period, environment, start)) WITHOUT ROWID;

CREATE TABLE marks (
  agent BLOB NOT NULL, epoch BLOB NOT NULL, seq INTEGER NOT NULL, hash BLOB NOT NULL, at INTEGER NOT NULL,
  PRIMARY KEY (agent, epoch)) WITHOUT ROWID;
CREATE INDEX marks_newest ON marks (agent, at);
CREATE TABLE batches (
  id INTEGER PRIMARY KEY, installation INTEGER NOT NULL, agent BLOB NOT NULL, epoch BLOB NOT NULL, seq INTEGER NOT NULL,
  hash BLOB NOT NULL, bytes INTEGER NOT NULL, cells INTEGER NOT NULL, aside INTEGER NOT NULL,
  received INTEGER NOT NULL, refused TEXT NOT NULL);
CREATE INDEX batches_installation ON batches (installation, id);
CREATE UNIQUE INDEX batches_place ON batches (agent, epoch, seq);
CREATE TABLE quarantine (
  id INTEGER PRIMARY KEY, at INTEGER NOT NULL, installation INTEGER NOT NULL, agent BLOB NOT NULL, epoch BLOB NOT NULL,
  seq INTEGER NOT NULL, hash BLOB NOT NULL, code TEXT NOT NULL, message TEXT NOT NULL, bytes INTEGER NOT NULL, raw BLOB NOT NULL);
CREATE UNIQUE INDEX quarantine_once ON quarantine (agent, epoch, seq, hash, code);
CREATE INDEX quarantine_installation ON quarantine (installation, id);
CREATE TABLE losses (
  id INTEGER PRIMARY KEY, at INTEGER NOT NULL, installation INTEGER NOT NULL, agent BLOB NOT NULL, epoch BLOB NOT NULL,
  first INTEGER NOT NULL, last INTEGER NOT NULL, why TEXT NOT NULL, UNIQUE (agent, epoch, first, last));
CREATE TABLE aside (
  id INTEGER PRIMARY KEY, at INTEGER NOT NULL, installation INTEGER NOT NULL, series INTEGER NOT NULL, start INTEGER NOT NULL,
  epoch BLOB NOT NULL, seq INTEGER NOT NULL, form INTEGER NOT NULL, lo REAL, hi REAL, equal INTEGER NOT NULL);
CREATE INDEX aside_installation ON aside (installation, id);
CREATE TABLE audit (
  id INTEGER PRIMARY KEY, at INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, subject TEXT NOT NULL, detail TEXT NOT NULL);
CREATE TABLE counters (name TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE users (
  name TEXT PRIMARY KEY, role TEXT NOT NULL, password TEXT NOT NULL, created INTEGER NOT NULL, disabled INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE secrets (
  kind TEXT NOT NULL, hash BLOB NOT NULL, user TEXT NOT NULL, label TEXT NOT NULL, scopes TEXT NOT NULL,
  created INTEGER NOT NULL, expires INTEGER NOT NULL, last_used INTEGER NOT NULL,
  PRIMARY KEY (kind, hash)) WITHOUT ROWID;
