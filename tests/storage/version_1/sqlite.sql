CREATE TABLE store (
    "key" VARCHAR(255) NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY ("key")
);

CREATE TABLE experiment (
    id INTEGER NOT NULL,
    "key" VARCHAR(255) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE ("key")
);

CREATE TABLE visitor (
    id INTEGER NOT NULL,
    "key" VARCHAR(255) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE ("key")
);

CREATE TABLE name (
    id INTEGER NOT NULL,
    "key" VARCHAR(255) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE ("key")
);

CREATE TABLE exposure (
    experiment_id INTEGER NOT NULL,
    phase INTEGER NOT NULL,
    visitor_id INTEGER NOT NULL,
    arm_id INTEGER NOT NULL,
    at BIGINT NOT NULL,
    assignment_hash VARCHAR(64) NOT NULL,
    crossover_arm_id INTEGER,
    crossover_at BIGINT,
    PRIMARY KEY (experiment_id, phase, visitor_id),
    CHECK ((crossover_arm_id IS NULL) = (crossover_at IS NULL))
)
 WITHOUT ROWID;

CREATE TABLE outcome (
    visitor_id INTEGER NOT NULL,
    event_id INTEGER NOT NULL,
    at BIGINT NOT NULL,
    outcome_id VARCHAR(255) NOT NULL,
    at_given INTEGER NOT NULL,
    value BIGINT,
    cost BIGINT,
    quantity BIGINT,
    currency VARCHAR(3) NOT NULL,
    reporting_value BIGINT,
    refund_of VARCHAR(255),
    PRIMARY KEY (visitor_id, event_id, at, outcome_id),
    UNIQUE (outcome_id, event_id)
)
 WITHOUT ROWID;

CREATE TABLE covariate (
    name_id INTEGER NOT NULL,
    visitor_id INTEGER NOT NULL,
    at BIGINT NOT NULL,
    value DOUBLE NOT NULL,
    PRIMARY KEY (name_id, visitor_id, at)
)
 WITHOUT ROWID;

CREATE TABLE segment (
    experiment_id INTEGER NOT NULL,
    phase INTEGER NOT NULL,
    visitor_id INTEGER NOT NULL,
    name_id INTEGER NOT NULL,
    value VARCHAR(255) NOT NULL,
    PRIMARY KEY (experiment_id, phase, visitor_id, name_id)
)
 WITHOUT ROWID;

CREATE TABLE identity (
    anonymous_id INTEGER NOT NULL,
    customer_id INTEGER NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (anonymous_id)
)
 WITHOUT ROWID;

CREATE INDEX identity_customer ON identity (customer_id);

CREATE TABLE arm (
    id INTEGER NOT NULL,
    experiment_id INTEGER NOT NULL,
    name VARCHAR(255) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (experiment_id, name),
    FOREIGN KEY(experiment_id) REFERENCES experiment (id)
);

CREATE TABLE definition (
    experiment_id INTEGER NOT NULL,
    version INTEGER NOT NULL,
    state VARCHAR(16) NOT NULL,
    phase INTEGER NOT NULL,
    published_at BIGINT NOT NULL,
    assignment_hash VARCHAR(64) NOT NULL,
    plan_hash VARCHAR(64) NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (experiment_id, version),
    FOREIGN KEY(experiment_id) REFERENCES experiment (id)
);

CREATE TABLE decision (
    experiment_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    at BIGINT NOT NULL,
    recommended_action VARCHAR(32) NOT NULL,
    recommended_arm VARCHAR(255),
    decided_action VARCHAR(32) NOT NULL,
    decided_arm VARCHAR(255),
    author TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (experiment_id, number),
    FOREIGN KEY(experiment_id) REFERENCES experiment (id)
);

CREATE TABLE import_file (
    experiment_id INTEGER NOT NULL,
    file VARCHAR(255) NOT NULL,
    read BIGINT NOT NULL,
    refused BIGINT NOT NULL,
    PRIMARY KEY (experiment_id, file),
    FOREIGN KEY(experiment_id) REFERENCES experiment (id)
);

CREATE TABLE look (
    experiment_id INTEGER NOT NULL,
    look INTEGER NOT NULL,
    arm_id INTEGER NOT NULL,
    metric VARCHAR(255) NOT NULL,
    at BIGINT NOT NULL,
    clock DOUBLE NOT NULL,
    estimate DOUBLE,
    z DOUBLE,
    se DOUBLE,
    boundary DOUBLE,
    alpha_spent DOUBLE,
    planned INTEGER NOT NULL,
    verdict VARCHAR(32) NOT NULL,
    report_hash VARCHAR(64) NOT NULL,
    PRIMARY KEY (experiment_id, look, arm_id, metric),
    FOREIGN KEY(experiment_id) REFERENCES experiment (id),
    FOREIGN KEY(arm_id) REFERENCES arm (id)
);
