# Numbers of the page docs/coming_from.md, from metafor: the R half of its example.
#
# Usage: Rscript tests/reference/make_coming_from.R
# Writes coming_from.json beside this script. Reads data/simulated_decay/simulated_decay.csv, which
# is simulated. Needs the R packages metafor, clubSandwich and jsonlite (Debian: r-cran-metafor,
# r-cran-clubsandwich, r-cran-jsonlite). The page shows the lines between the two marks.

file_argument <- grep("^--file=", commandArgs(FALSE), value = TRUE)
here <- dirname(normalizePath(sub("^--file=", "", file_argument)))
setwd(file.path(here, "..", "..", "data", "simulated_decay"))
suppressPackageStartupMessages(library(metafor))

# ---- shown from here ----
library(metafor)
all <- read.csv("simulated_decay.csv")
all <- escalc("SMD",
  m1i = mean_treated, sd1i = sd_treated, n1i = n_treated,
  m2i = mean_control, sd2i = sd_control, n2i = n_control, data = all
)
day <- subset(all, regimen == "repeated" & delay == "24 h")

res <- rma(yi, vi, data = day, test = "knha")
confint(res)
predict(res)
leave1out(res)
influence(res)

z <- rma(yi, vi, data = day)
regtest(z, predictor = "sqrtninv")
trimfill(z)

two <- rma(yi, vi, mods = ~regimen, data = all, test = "knha")

V <- vcalc(vi, cluster = study, obs = experiment, rho = 0.5, data = all)
nested <- rma.mv(yi, V,
  random = ~ 1 | study / experiment, data = all, test = "t", dfs = "contain"
)
robust(nested, cluster = study, clubSandwich = TRUE)
# ---- to here ----

plain <- function(x) as.numeric(unname(x))
# The same calls with finer searches: metafor's end at 1e-5 for tau2 and 1e-4 for its interval.
fine <- list(threshold = 1e-12, maxiter = 100000)
res <- rma(yi, vi, data = day, test = "knha", control = fine)
z <- rma(yi, vi, data = day, control = fine)
two <- rma(yi, vi, mods = ~regimen, data = all, test = "knha", control = fine)
test <- regtest(z, predictor = "sqrtninv")
filled <- trimfill(z)
sandwich <- robust(nested, cluster = study, clubSandwich = TRUE)
tight <- confint(res, control = list(tol = 1e-12, maxiter = 100000))
found <- list(
  effect = plain(res$b), ci_low = res$ci.lb, ci_high = res$ci.ub, p = res$pval,
  z_ci_low = z$ci.lb, z_ci_high = z$ci.ub,
  tau2 = res$tau2, tau2_high = tight$random["tau^2", "ci.ub"], i2 = res$I2,
  prediction_low = predict(res)$pi.lb, prediction_high = predict(res)$pi.ub,
  egger = plain(test$zval), filled = filled$k0,
  least = min(leave1out(res)$estimate), largest_cook = max(influence(res)$inf$cook.d),
  single = plain(two$b[2]), single_se = two$se[2],
  nested = plain(nested$b), nested_ci_low = nested$ci.lb, nested_ci_high = nested$ci.ub,
  between_studies = nested$sigma2[1], within_studies = nested$sigma2[2],
  robust_se = sandwich$se, robust_df = plain(sandwich$dfs)
)
found <- list(
  made_by = paste(R.version.string, "metafor", as.character(packageVersion("metafor")),
    "clubSandwich", as.character(packageVersion("clubSandwich"))),
  numbers = lapply(found, plain)
)
writeLines(jsonlite::toJSON(found, auto_unbox = TRUE, digits = NA, pretty = TRUE),
  file.path(here, "coming_from.json"))
