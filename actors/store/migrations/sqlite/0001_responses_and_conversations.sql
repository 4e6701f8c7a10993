-- Stored responses and conversations. Times are milliseconds since 1970. Texts (body, json, metadata) are JSON as it was given.

-- How often the database was opened: responses that run under a smaller number were left by an earlier process.
CREATE TABLE generations (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    latest INTEGER NOT NULL
) STRICT;

INSERT INTO generations (only, latest) VALUES (1, 0);

CREATE TABLE responses (
    serial INTEGER PRIMARY KEY,
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('queued', 'in_progress', 'completed', 'incomplete', 'failed', 'cancelled')),
    background INTEGER NOT NULL CHECK (background IN (0, 1)),
    generation INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    ended_at INTEGER,
    model TEXT NOT NULL,
    conversation TEXT,
    previous TEXT,
    -- Of the texts of its items, so that the size of a chain is known before it is read.
    item_bytes INTEGER NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (owner, id),
    CHECK ((ended_at IS NULL) = (status IN ('queued', 'in_progress')))
) STRICT;

CREATE INDEX responses_by_expiry ON responses (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX responses_by_previous ON responses (owner, previous) WHERE previous IS NOT NULL;
CREATE INDEX responses_running ON responses (generation) WHERE status IN ('queued', 'in_progress');

CREATE TABLE response_items (
    serial INTEGER PRIMARY KEY,
    response INTEGER NOT NULL REFERENCES responses (serial) ON DELETE CASCADE,
    -- 0 = input, 1 = output.
    side INTEGER NOT NULL CHECK (side IN (0, 1)),
    position INTEGER NOT NULL,
    id TEXT NOT NULL,
    json TEXT NOT NULL,
    UNIQUE (response, side, position),
    UNIQUE (response, side, id)
) STRICT;

CREATE TABLE conversations (
    serial INTEGER PRIMARY KEY,
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    -- Last use, to the hour.
    used_at INTEGER NOT NULL,
    metadata TEXT NOT NULL,
    UNIQUE (owner, id)
) STRICT;

CREATE INDEX conversations_by_use ON conversations (used_at);

CREATE TABLE conversation_items (
    serial INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL REFERENCES conversations (serial) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    id TEXT NOT NULL,
    json TEXT NOT NULL,
    UNIQUE (conversation, position),
    UNIQUE (conversation, id)
) STRICT;
