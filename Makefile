# Slipway: from a folder of labelled photos to a tested endpoint. `make help` lists the targets.

# PYTHON=… names the Python of the environment; slipway/environment.sh finds one by itself.
VENV ?= .venv
# docker, podman or process. Asked for once, and only by what needs it: an engine may take seconds
ifndef ENGINE
ENGINE = $(eval ENGINE := $$(or $$(shell docker/engine.sh),process))$(ENGINE)
endif
CONTAINERS = $(filter-out process,$(ENGINE))
DATA ?=
SOAK ?=
TUNE ?=
PORT ?= 8080
PUSH ?= all
E2E ?=
SAGEMAKER ?=
CONFORMANCE ?=
BENCH ?=
IMAGES ?= all
TEST_WORKERS ?= 2
TESTS ?=
MUTANTS ?=
FUZZ_SECONDS ?= 600
FUZZ_RUNS ?=
FUZZ_SEED ?= 1
# Images that run on this engine are built for its own processor.
OWN_ARCH = ARCH=$(or $(ARCH),engine)
ENVIRONMENT = VENV='$(VENV)' slipway/environment.sh

PYTEST = $(VENV)/bin/python -m pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder \
	--durations=25

# quoted NAME: a variable's value as the user wrote it, as one word for a shell
quoted = '$(subst ','\'',$(value $(1)))'
# What a shell may hold for other programs, and what would lead ours astray
unexport CDPATH GREP_OPTIONS PYTHONHOME PYTHONINSPECT PYTHONPATH PYTHONSAFEPATH

.DEFAULT_GOAL := help
# Two targets at a time would make one environment twice.
.NOTPARALLEL:
.PHONY: help demo check test test-fast verify mutants fuzz images tune web push local-sagemaker \
	notebooks e2e conformance sbom soak pictures docs bench-serve bench-train bench-tune bench-search \
	bench-hook bench-rules bench-profile bench-size bench-accuracy bench-gpu base lock \
	environment clean FORCE

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "%-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## Photos to a tested endpoint; DATA=folder, ENGINE=docker|podman|process
	@$(MAKE) --no-print-directory $(VENV)/.$(if $(CONTAINERS),docker,process)
	@$(if $(CONTAINERS),$(MAKE) --no-print-directory images $(OWN_ARCH) IMAGES='train serve')
	@$(VENV)/bin/python -m local_test.demo --engine '$(ENGINE)' \
		$(if $(value DATA),--data $(call quoted,DATA))

test: $(VENV)/.process $(VENV)/.docs ## Run all tests; REQUIRE_DOCKER=1, TEST_WORKERS=n
	@OMP_NUM_THREADS=1 $(PYTEST) -m 'not verify' $(TESTS)

check: $(VENV)/.process ## Lint, format, types, scripts, Dockerfiles, the reference pages
	@VENV='$(VENV)' tests/check.sh

test-fast: $(VENV)/.process ## Run the tests without containers, trainings and whole programs
	@OMP_NUM_THREADS=1 $(PYTEST) -m 'not docker and not training and not slow and not verify' \
		$(TESTS)

verify: $(VENV)/.process $(VENV)/.docs ## Run the slowest tests, such as whole stories
	@OMP_NUM_THREADS=1 $(PYTEST) -m verify $(TESTS)

mutants: $(VENV)/.process $(VENV)/.mutants ## Run a sample of mutants against the tests; MUTANTS=…
	@$(VENV)-mutants/bin/python tests/mutants.py --python '$(VENV)/bin/python' $(MUTANTS)

# atheris has wheels for Linux on x86_64 only.
GUIDED = $(filter Linux-x86_64,$(shell uname -sm | tr ' ' -))
GUIDED_FUZZ = mkdir -p out/fuzz && PYTHONPATH=$(VENV)-fuzz $(VENV)/bin/python -m tests.fuzz.guided
GUIDED_OPTIONS = -max_total_time=$(FUZZ_SECONDS) $(if $(FUZZ_RUNS),-runs=$(FUZZ_RUNS)) \
	-seed=$(FUZZ_SEED) -artifact_prefix=out/fuzz/

fuzz: $(VENV)/.process $(if $(GUIDED),$(VENV)-fuzz/.done) ## Hostile inputs; FUZZ_SECONDS=600
	@$(VENV)/bin/python -m tests.fuzz --seconds $(FUZZ_SECONDS) --seed $(FUZZ_SEED) \
		$(if $(FUZZ_RUNS),--runs $(FUZZ_RUNS))
	@$(if $(GUIDED),$(GUIDED_FUZZ) requests $(GUIDED_OPTIONS))
	@$(if $(GUIDED),$(GUIDED_FUZZ) decode $(GUIDED_OPTIONS))

images: ## Build the images: IMAGES='train serve'|all, ARCH=arm64, BASE_IMAGE=…, …
	@docker/build.sh $(IMAGES)

soak: $(VENV)/.docker ## Load, hostile bodies, a killed worker, SIGTERM: slipway-serve; SOAK=options
	@test -f out/ml/model/model.json || $(MAKE) --no-print-directory demo
	@$(VENV)/bin/python -m local_test.soak --model out/ml/model --photos out/prepared/test $(SOAK)

tune: $(VENV)/.process ## Search the demo's hyperparameters here; TUNE=options, DATA=folder
	@$(if $(value DATA),,test -d out/prepared/train || $(MAKE) --no-print-directory demo)
	@$(VENV)/bin/python -m tune recipes/demo.yaml --own-values-first \
		$(if $(value DATA),--data $(call quoted,DATA)) $(TUNE)

push: $(VENV)/.docker ## Build images and push them to ECR: PUSH='train serve'|all, REGISTRY=…
	@VENV='$(VENV)' ./build_and_push.sh $(PUSH)

local-sagemaker: $(VENV)/.process ## Serve SageMaker's own API on this machine; SAGEMAKER=options
	@$(VENV)/bin/python -m local_sagemaker --engine '$(ENGINE)' $(SAGEMAKER)

notebooks: $(VENV)/.process $(VENV)/.notebooks ## Open notebooks/ in JupyterLab, on local SageMaker
	@slipway/with_sagemaker.sh '$(VENV)-notebooks/bin/python' -m jupyterlab notebooks

e2e: $(VENV)/.process ## Run every step, push to delete, on this machine's SageMaker; E2E=options
	@$(if $(CONTAINERS),$(MAKE) --no-print-directory images IMAGES='train serve')
	@$(VENV)/bin/python -m local_test.e2e --engine '$(ENGINE)' $(E2E)

conformance: $(VENV)/.docker ## Check the images against SageMaker's contract; CONFORMANCE=options
	@$(MAKE) --no-print-directory images $(OWN_ARCH) IMAGES='train serve'
	@$(VENV)/bin/python -m conformance --train slipway-train --serve slipway-serve \
		--job conformance/slipway.json $(CONFORMANCE)

conformance-peers: $(VENV)/.process ## Check others' images, too; CONFORMANCE=options
	@$(MAKE) --no-print-directory images $(OWN_ARCH) IMAGES='train serve'
	@$(VENV)/bin/python -m bench.conformance_peers $(CONFORMANCE)

sbom: $(VENV)/.docker ## Write a CycloneDX bill of materials of each image to out/sbom
	@$(MAKE) --no-print-directory images
	@$(VENV)/bin/python -m conformance.sbom \
		slipway-train slipway-serve slipway-serve-gpu slipway-serve-mms \
		slipway-serve-mms-torch

web: ## Serve the page in front of the demo's model; PORT=8080, ENGINE=docker|podman|process
	@$(MAKE) --no-print-directory $(VENV)/.$(if $(CONTAINERS),docker,process)
	@test -f out/ml/model/model.json || $(MAKE) --no-print-directory demo
	@$(VENV)/bin/python -m slipway web --port '$(PORT)' --engine '$(ENGINE)'

pictures: $(VENV)/.process ## Make the pictures of docs/pictures anew from a demo; needs Chromium
	@$(VENV)/bin/python -m tests.pictures

docs: $(VENV)/.process $(VENV)/.docs ## Build the documentation into out/docs
	@$(VENV)/bin/python -m reference
	@rm -rf out/docs
	@$(VENV)-docs/bin/python -m zensical build --strict --clean
	@echo "docs: out/docs/index.html"

bench-serve: $(VENV)/.process ## Measure slipway-serve against other servers; BENCH=options
	@$(MAKE) --no-print-directory images $(OWN_ARCH) IMAGES='train serve'
	@$(VENV)/bin/python -m bench.serve $(BENCH)

bench-train: $(VENV)/.process ## Measure training against a plain torchvision loop; BENCH=options
	@$(VENV)/bin/python -m bench.train $(BENCH)

bench-tune: $(VENV)/.process ## Measure a search against a plain torchvision loop; BENCH=options
	@$(VENV)/bin/python -m bench.tune $(BENCH)

bench-search: $(VENV)/.process ## Compare searches on recorded real trainings; BENCH=options
	@$(VENV)/bin/python -m bench.search $(BENCH)

bench-accuracy: $(VENV)/.process ## Measure presets and int8; DATA=folder BENCH=options
	@$(VENV)/bin/python -m bench.accuracy $(if $(value DATA),--data $(call quoted,DATA)) $(BENCH)

bench-hook: $(VENV)/.process ## Measure what smdebug's hook costs a training step; BENCH=options
	@$(VENV)/bin/python -m bench.hook_cost $(BENCH)

bench-rules: $(VENV)/.process ## Count rules on sound and sick trainings; BENCH=options
	@$(VENV)/bin/python -m bench.rules $(BENCH)

bench-size: $(VENV)/.process ## Check what launch size says by a real load; BENCH='MODEL PHOTOS …'
	@$(VENV)/bin/python -m bench.size $(BENCH)

bench-profile: $(VENV)/.process ## Measure what profiling costs a training; BENCH=options
	@$(VENV)/bin/python -m bench.profile_cost $(BENCH)

bench-gpu: $(VENV)/.process ## Measure training and serving on a GPU; BENCH=options
	@$(VENV)/bin/python -m bench.gpu $(BENCH)

base: ## Make a stand-in for the base image, where none can be pulled (as root); DISTRIBUTION=…
	@docker/base.sh

lock: ## Resolve docker/requirements-*.in anew into hash-locked .txt files
	@docker/lock.sh

environment: $(VENV)/.process ## Make the Python environment for everything outside containers

clean: ## Remove the environment and all output but out/launch, which knows what runs on AWS
	rm -rf $(VENV) $(VENV)-mutants $(VENV)-fuzz $(VENV)-docs $(VENV)-notebooks $(VENV)-python \
		.venv-clients-* .cache
	if [ -d out ]; then find out -mindepth 1 -maxdepth 1 ! -name launch -exec rm -rf {} +; fi

# Where containers do the work, the demo needs a few small packages.
# Without containers, and for the tests, it needs all of them: torch alone is 5 GB.
# The script looks at what is there, so it runs each time.
$(VENV)/.docker $(VENV)/.process $(VENV)/.mutants $(VENV)/.docs $(VENV)/.notebooks: FORCE
	@$(ENVIRONMENT) $(patsubst .%,%,$(notdir $@))

FORCE:

# atheris, which the images and the tests do not have.
$(VENV)-fuzz/.done: docker/requirements-fuzz.txt | $(VENV)/.process
	@echo "fuzz: installing atheris"
	@SPEAKER=fuzz docker/steps.sh atheris $(VENV)/bin/python -m pip install --progress-bar off \
		--disable-pip-version-check --require-hashes --target $(VENV)-fuzz -r $<
	@touch $@
