CREATE TABLE covariate (
    name_id BIGINT NOT NULL,
    visitor_id BIGINT NOT NULL,
    "at" BIGINT NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (name_id, visitor_id, "at")
);

CREATE SEQUENCE experiment_id_seq;
CREATE TABLE experiment (
    id BIGINT DEFAULT nextval('experiment_id_seq') NOT NULL,
    key VARCHAR(255) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (key)
);

CREATE TABLE exposure (
    experiment_id BIGINT NOT NULL,
    phase INTEGER NOT NULL,
    visitor_id BIGINT NOT NULL,
    arm_id BIGINT NOT NULL,
    "at" BIGINT NOT NULL,
    assignment_hash VARCHAR(64) NOT NULL,
    crossover_arm_id BIGINT,
    crossover_at BIGINT,
    PRIMARY KEY (experiment_id, phase, visitor_id),
    CHECK ((crossover_arm_id IS NULL) = (crossover_at IS NULL))
);

COMMENT ON TABLE exposure IS 'One row a visitor: the earliest exposure, and the earliest one in another arm.';

CREATE TABLE identity (
    anonymous_id BIGINT NOT NULL,
    customer_id BIGINT NOT NULL,
    "at" BIGINT NOT NULL,
    PRIMARY KEY (anonymous_id)
);

CREATE INDEX identity_customer ON identity (customer_id);

CREATE SEQUENCE name_id_seq;
CREATE TABLE name (
    id BIGINT DEFAULT nextval('name_id_seq') NOT NULL,
    key VARCHAR(255) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (key)
);

CREATE TABLE outcome (
    visitor_id BIGINT NOT NULL,
    event_id BIGINT NOT NULL,
    "at" BIGINT NOT NULL,
    outcome_id VARCHAR(255) NOT NULL,
    at_given INTEGER NOT NULL,
    value BIGINT,
    cost BIGINT,
    quantity BIGINT,
    currency VARCHAR(3) NOT NULL,
    reporting_value BIGINT,
    refund_of VARCHAR(255),
    PRIMARY KEY (visitor_id, event_id, "at", outcome_id),
    UNIQUE (outcome_id, event_id)
);

COMMENT ON TABLE outcome IS 'at_given is 0 where the time of writing was taken; such a time is not content.';

CREATE TABLE segment (
    experiment_id BIGINT NOT NULL,
    phase INTEGER NOT NULL,
    visitor_id BIGINT NOT NULL,
    name_id BIGINT NOT NULL,
    value VARCHAR(255) NOT NULL,
    PRIMARY KEY (experiment_id, phase, visitor_id, name_id)
);

CREATE TABLE store (
    key VARCHAR(255) NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (key)
);

COMMENT ON TABLE store IS 'What offerlift knows about this store: schema_version, currency.';

CREATE SEQUENCE visitor_id_seq;
CREATE TABLE visitor (
    id BIGINT DEFAULT nextval('visitor_id_seq') NOT NULL,
    key VARCHAR(255) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (key)
);

CREATE SEQUENCE arm_id_seq;
CREATE TABLE arm (
    id BIGINT DEFAULT nextval('arm_id_seq') NOT NULL,
    experiment_id BIGINT NOT NULL,
    name VARCHAR(255) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (experiment_id, name),
    FOREIGN KEY(experiment_id) REFERENCES experiment (id)
);

CREATE TABLE decision (
    experiment_id BIGINT NOT NULL,
    number INTEGER NOT NULL,
    "at" BIGINT NOT NULL,
    recommended_action VARCHAR(32) NOT NULL,
    recommended_arm VARCHAR(255),
    decided_action VARCHAR(32) NOT NULL,
    decided_arm VARCHAR(255),
    author TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (experiment_id, number),
    FOREIGN KEY(experiment_id) REFERENCES experiment (id)
);

CREATE TABLE definition (
    experiment_id BIGINT NOT NULL,
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

COMMENT ON TABLE definition IS 'Every published version, never changed; document is the JSON that backends read.';

CREATE TABLE import_file (
    experiment_id BIGINT NOT NULL,
    file VARCHAR(255) NOT NULL,
    read BIGINT NOT NULL,
    refused BIGINT NOT NULL,
    PRIMARY KEY (experiment_id, file),
    FOREIGN KEY(experiment_id) REFERENCES experiment (id)
);

COMMENT ON TABLE import_file IS 'Rows of an imported table that were read and refused, at the last import of a file of that name.';

CREATE TABLE look (
    experiment_id BIGINT NOT NULL,
    look INTEGER NOT NULL,
    arm_id BIGINT NOT NULL,
    metric VARCHAR(255) NOT NULL,
    "at" BIGINT NOT NULL,
    clock DOUBLE PRECISION NOT NULL,
    estimate DOUBLE PRECISION,
    z DOUBLE PRECISION,
    se DOUBLE PRECISION,
    boundary DOUBLE PRECISION,
    alpha_spent DOUBLE PRECISION,
    planned INTEGER NOT NULL,
    verdict VARCHAR(32) NOT NULL,
    report_hash VARCHAR(64) NOT NULL,
    PRIMARY KEY (experiment_id, look, arm_id, metric),
    FOREIGN KEY(experiment_id) REFERENCES experiment (id),
    FOREIGN KEY(arm_id) REFERENCES arm (id)
);
