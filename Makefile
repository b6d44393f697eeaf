# Names for what people do here; the work is in scripts/. `make` alone explains.

.DEFAULT_GOAL := help
# A slice of them: make test-topologies SLICE=1/4
SLICE ?= 1/1
# Of each fuzz target: make fuzz MINUTES=10
MINUTES ?= 1

.PHONY: help demo demo-module fuzz onnxruntime test test-topologies test-cycles packages lint format doc readme snippets crates bench sbom image tutorial-containers deb

help: ## show this help
	@echo 'Live Video Analytics in Rust'
	@echo
	@echo 'usage: make TARGET'
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo 'A new machine needs Rust (https://rustup.rs) and nothing else: `make test` installs the rest'
	@echo 'on Debian and Ubuntu, and names it elsewhere. The programs are listed in README.md; each runs as'
	@echo '  cargo run --release --example NAME -- --help'

test: ## install what is missing, then run every test (the first time: minutes)
	@scripts/install-packages.sh --with-tests
	@scripts/test.sh

test-topologies: packages ## run every published topology with a simulated camera and print a table (many minutes)
	@scripts/test-topologies.sh $(SLICE)

test-cycles: packages ## activate and deactivate an instance 1,000 times; memory, threads and files stay flat (minutes)
	cargo test --release --package lva-graph-runtime --test cycles -- --ignored --nocapture

fuzz: packages ## run every fuzz target for MINUTES each, with nightly and cargo-fuzz, and print a table
	@scripts/fuzz.sh $$(($(MINUTES) * 60))

demo: packages ## the whole chain on the demo clip; make demo ARGS="--seconds 75 --pretty"
	cargo run --release --example spatial-analysis -- $(ARGS)

demo-module: packages ## lva-edge, the module that a site installs, with the demo's camera, extension and graph
	cargo run --release --bin lva-edge -- module --demo

onnxruntime: ## fetch ONNX Runtime's library into target/: models run about four times as fast (28 MB, pinned by hash)
	@scripts/onnxruntime.sh

packages: ## install the system packages that are missing (asks sudo where needed)
	@scripts/install-packages.sh

lint: ## format, layers, circles, errors, names, promises, clippy with warnings denied, snippets of documents
	cargo fmt --all --check
	scripts/check-layers.sh
	scripts/check-cycles.py
	scripts/check-errors.py
	scripts/check-names.py
	scripts/check-security.py
	scripts/clippy.sh
	scripts/check-snippets.py

format: ## format all Rust code
	cargo fmt --all

doc: ## build the documentation of every crate, warnings denied
	RUSTDOCFLAGS=--deny=warnings cargo doc --workspace --no-deps --all-features

readme: ## run the marked commands of README.md and the other documents
	scripts/check-readme.sh

snippets: ## compile every Rust snippet of the documents in a fresh crate, as a reader who pastes it
	scripts/check-snippets.py

crates: ## package every crate, build the packages by themselves, run the examples of their documentation (minutes)
	scripts/check-packages.py

bench: packages ## receiving, and the picture path, beside ffmpeg, GStreamer and OpenCV: CPU time, ratios, PSNR (many minutes)
	scripts/bench.sh

sbom: ## the crates that lva-edge is built of, with versions and licences, as CycloneDX in target/sbom; with cargo-cyclonedx
	@scripts/sbom.sh

image: packages ## the container image of lva-edge, from this machine's Debian packages; needs root, and buildah, podman or docker
	@scripts/image.sh

tutorial-containers: ## the spatial-analysis tutorial from its own deployment manifest, as containers; after make image, with podman
	@scripts/tutorial-containers.py

deb: packages ## the Debian package of lva-edge, with its unit, in target/debian; with cargo-deb
	@scripts/deb.sh
