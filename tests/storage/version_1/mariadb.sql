CREATE TABLE covariate (
    name_id BIGINT NOT NULL,
    visitor_id BIGINT NOT NULL,
    at BIGINT NOT NULL,
    value DOUBLE NOT NULL,
    PRIMARY KEY (name_id, visitor_id, at)
);

CREATE TABLE experiment (
    id BIGINT NOT NULL AUTO_INCREMENT,
    `key` VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (`key`)
);

CREATE TABLE exposure (
    experiment_id BIGINT NOT NULL,
    phase INTEGER NOT NULL,
    visitor_id BIGINT NOT NULL,
    arm_id BIGINT NOT NULL,
    at BIGINT NOT NULL,
    assignment_hash VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
    crossover_arm_id BIGINT,
    crossover_at BIGINT,
    PRIMARY KEY (experiment_id, phase, visitor_id),
    CHECK ((crossover_arm_id IS NULL) = (crossover_at IS NULL))
)COMMENT='One row a visitor: the earliest exposure, and the earliest one in another arm.';

CREATE TABLE identity (
    anonymous_id BIGINT NOT NULL,
    customer_id BIGINT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (anonymous_id)
);

CREATE INDEX identity_customer ON identity (customer_id);

CREATE TABLE name (
    id BIGINT NOT NULL AUTO_INCREMENT,
    `key` VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (`key`)
);

CREATE TABLE outcome (
    visitor_id BIGINT NOT NULL,
    event_id BIGINT NOT NULL,
    at BIGINT NOT NULL,
    outcome_id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
    at_given INTEGER NOT NULL,
    value BIGINT,
    cost BIGINT,
    quantity BIGINT,
    currency VARCHAR(3) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
    reporting_value BIGINT,
    refund_of VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin,
    PRIMARY KEY (visitor_id, event_id, at, outcome_id),
    UNIQUE (outcome_id, event_id)
)COMMENT='at_given is 0 where the time of writing was taken; such a time is not content.';

CREATE TABLE segment (
    experiment_id BIGINT NOT NULL,
    phase INTEGER NOT NULL,
    visitor_id BIGINT NOT NULL,
    name_id BIGINT NOT NULL,
    value VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
    PRIMARY KEY (experiment_id, phase, visitor_id, name_id)
);

CREATE TABLE store (
    `key` VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
    value LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
    PRIMARY KEY (`key`)
)COMMENT='What offerlift knows about this store: schema_version, currency.';

CREATE TABLE visitor (
    id BIGINT NOT NULL AUTO_INCREMENT,
    `key` VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (`key`)
);

CREATE TABLE arm (
    id BIGINT NOT NULL AUTO_INCREMENT,
    experiment_id BIGINT NOT NULL,
    name VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (experiment_id, name),
    FOREIGN KEY(experiment_id) REFERENCES experiment (id)
);

CREATE TABLE decision (
    experiment_id BIGINT NOT NULL,
    number INTEGER NOT NULL,
    at BIGINT NOT NULL,
    recommended_action VARCHAR(32) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
    recommended_arm VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin,
    decided_action VARCHAR(32) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
    decided_arm VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin,
    author LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
    reason LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
    PRIMARY KEY (experiment_id, number),
    FOREIGN KEY(experiment_id) REFERENCES experiment (id)
);

CREATE TABLE definition (
    experiment_id BIGINT NOT NULL,
    version INTEGER NOT NULL,
    state VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
    phase INTEGER NOT NULL,
    published_at BIGINT NOT NULL,
    assignment_hash VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
    plan_hash VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
    document LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
    PRIMARY KEY (experiment_id, version),
    FOREIGN KEY(experiment_id) REFERENCES experiment (id)
)COMMENT='Every published version, never changed; document is the JSON that backends read.';

CREATE TABLE import_file (
    experiment_id BIGINT NOT NULL,
    file VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
    `read` BIGINT NOT NULL,
    refused BIGINT NOT NULL,
    PRIMARY KEY (experiment_id, file),
    FOREIGN KEY(experiment_id) REFERENCES experiment (id)
)COMMENT='Rows of an imported table that were read and refused, at the last import of a file of that name.';

CREATE TABLE look (
    experiment_id BIGINT NOT NULL,
    look INTEGER NOT NULL,
    arm_id BIGINT NOT NULL,
    metric VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
    at BIGINT NOT NULL,
    clock DOUBLE NOT NULL,
    estimate DOUBLE,
    z DOUBLE,
    se DOUBLE,
    boundary DOUBLE,
    alpha_spent DOUBLE,
    planned INTEGER NOT NULL,
    verdict VARCHAR(32) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
    report_hash VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
    PRIMARY KEY (experiment_id, look, arm_id, metric),
    FOREIGN KEY(experiment_id) REFERENCES experiment (id),
    FOREIGN KEY(arm_id) REFERENCES arm (id)
);
