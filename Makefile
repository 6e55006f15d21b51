# SPDX-License-Identifier: EUPL-1.2
# Short names for plain commands; each works without make as well.
.PHONY: setup fmt check test chaos cov bench fuzz demo docs wheel lock

setup:
	scripts/setup

fmt:
	scripts/fmt

check:
	scripts/check

test:
	scripts/test

chaos:
	scripts/chaos

cov:
	scripts/cov

bench:
	scripts/bench

fuzz:
	scripts/fuzz

demo:
	scripts/demo

docs:
	scripts/docs

wheel:
	scripts/wheel

lock:
	scripts/lock
