# Oracles of the classical decay fit: at fixed half-lives the model is linear, and metafor fits it.
# The half-lives are then found by R's own optimisers over metafor's log likelihood.
#
#   Rscript tests/reference/make_decay_oracles.R
#
# writes decay_oracles.json beside itself.

suppressMessages({
  library(metafor)
  library(jsonlite)
})

here <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
tight <- list(optimizer = "optim", optmethod = "BFGS", reltol = 1e-14)

# The level is stated at the lower-quartile delay that some row has.
reference <- function(t) sort(t)[floor((length(t) - 1) / 4) + 1]
share <- function(t, h) 2^(-(t - reference(t)) / h)

one_curve <- function() {
  set.seed(7)
  k <- 36
  study <- paste0("S", seq_len(k))
  t <- rep(c(0.1, 0.5, 1, 2, 4, 8), 6)
  v <- runif(k, 0.05, 0.2)
  y <- rnorm(k, -2.5 * 2^(-t / 3), sqrt(v + 0.15))
  fit <- function(log2_h, method) {
    rma.mv(y, v, mods = cbind(share(t, 2^log2_h)), intercept = FALSE, method = method,
      random = ~ 1 | study, control = tight)
  }
  # metafor adds log|X'X| / 2 with the X at hand; here it is that of no decay, log(k) / 2.
  height <- function(log2_h, method) {
    found <- as.numeric(logLik(fit(log2_h, method)))
    if (method == "REML") found <- found - log(sum(share(t, 2^log2_h)^2)) / 2 + log(k) / 2
    found
  }
  estimates <- lapply(c(ML = "ML", REML = "REML"), function(method) {
    top <- optimize(height, c(-3, 6), method = method, maximum = TRUE, tol = 1e-10)
    best <- fit(top$maximum, method)
    fall <- function(x) 2 * (top$objective - height(x, method)) - qchisq(0.95, 1)
    end <- function(low, high) uniroot(fall, c(low, high), tol = 1e-12)$root
    list(
      log2_half_life = top$maximum, log_likelihood = top$objective, tau2 = best$sigma2,
      level = as.numeric(best$beta), half_life_low = 2^end(top$maximum - 4, top$maximum),
      half_life_high = 2^end(top$maximum, top$maximum + 4)
    )
  })
  list(study = study, delay = t, y = y, v = v, fits = estimates)
}

two_curves <- function() {
  set.seed(11)
  study <- rep(sprintf("S%02d", 1:16), each = 4)
  experiment <- rep(paste0("E", 1:4), 16)
  regimen <- rep(c("repeated", "single"), each = 4, times = 8)
  t <- ifelse(regimen == "single", rep(c(0.02, 0.1, 0.3, 1), 16), rep(c(0.5, 2, 5, 12), 16))
  n <- length(t)
  v <- runif(n, 0.08, 0.3)
  mean <- ifelse(regimen == "single", 1.5 * 2^(-t / 0.3), 3 * 2^(-t / 6))
  y <- mean + rep(rnorm(16, 0, 0.5), each = 4) + rnorm(n, 0, 0.3) + rnorm(n, 0, sqrt(v))
  single <- regimen == "single"
  columns <- function(log2_h) {
    z <- numeric(n)
    z[single] <- share(t[single], 2^log2_h[2])
    z[!single] <- share(t[!single], 2^log2_h[1])
    cbind(z * !single, z * single)
  }
  fit <- function(log2_h, method) {
    rma.mv(y, v, mods = columns(log2_h), intercept = FALSE, method = method,
      random = ~ 1 | study / experiment, control = tight)
  }
  height <- function(log2_h, method) {
    found <- as.numeric(logLik(fit(log2_h, method)))
    if (method == "REML") {
      X <- columns(log2_h)
      flat <- cbind(!single, single) * 1
      found <- found - determinant(crossprod(X))$modulus / 2 + determinant(crossprod(flat))$modulus / 2
    }
    as.numeric(found)
  }
  estimates <- lapply(c(ML = "ML", REML = "REML"), function(method) {
    slope <- function(x) {
      e <- 1e-4
      sapply(1:2, function(i) {
        d <- replace(numeric(2), i, e)
        (height(x + d, method) - height(x - d, method)) / (2 * e)
      })
    }
    top <- optim(c(2.5, -1.7), function(x) height(x, method), slope, method = "BFGS",
      control = list(fnscale = -1, reltol = 1e-14))
    best <- fit(top$par, method)
    list(log2_half_life = top$par, log_likelihood = top$value, sigma2 = best$sigma2,
      level = as.numeric(best$beta))
  })
  list(study = study, experiment = experiment, regimen = regimen, delay = t, y = y, v = v,
    fits = estimates)
}

oracles <- list(
  meta = list(
    script = "tests/reference/make_decay_oracles.R", R = R.version.string,
    metafor = as.character(packageVersion("metafor")),
    jsonlite = as.character(packageVersion("jsonlite"))
  ),
  one_curve = one_curve(),
  two_curves = two_curves()
)
# 15 significant digits, the most that jsonlite writes.
write_json(oracles, file.path(here, "decay_oracles.json"), digits = I(15), auto_unbox = TRUE,
  pretty = 1)
