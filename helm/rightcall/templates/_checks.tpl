{{/* Values that contradict each other, or are not enough, end the installation with what to do. */}}
{{- define "rightcall.check" -}}
{{- include "rightcall.checkRules" . -}}
{{- include "rightcall.checkServers" . -}}
{{- include "rightcall.checkQuestions" . -}}
{{- include "rightcall.checkLabels" . -}}
{{- include "rightcall.checkRoutes" . -}}
{{- end -}}

{{/* How callers from outside come in, and what watches. */}}
{{- define "rightcall.checkRoutes" -}}
{{- with .Values.pdp -}}
{{- $http := or .httpRoute.enabled (and .ingress.enabled (eq .ingress.backend "http")) -}}
{{- if and $http (not .service.httpPort) -}}
{{- fail "pdp.httpRoute and an Ingress for http lead to the Service, which has no port for HTTP; set pdp.service.httpPort" -}}
{{- end -}}
{{- if and .service.httpPort (eq (int .service.httpPort) (int .service.port)) -}}
{{- fail "pdp.service.port and pdp.service.httpPort are the same; give each a port of its own" -}}
{{- end -}}
{{- if and .ingress.enabled (not .ingress.hosts) -}}
{{- fail "an Ingress needs host names; set pdp.ingress.hosts" -}}
{{- end -}}
{{- range $route := list "grpcRoute" "httpRoute" -}}
{{- with index $.Values.pdp $route -}}
{{- if and .enabled (not .parentRefs) -}}
{{- fail (printf "a route belongs to a Gateway; set pdp.%s.parentRefs" $route) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with .Values.networkPolicy -}}
{{- if and .enabled $.Values.monitoring.serviceMonitor.enabled (or .clients .httpClients) (not .monitoring) -}}
{{- fail "networkPolicy keeps Prometheus from the HTTP port, which only those who may ask reach; set networkPolicy.monitoring" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Labels of one's own must not take the place of those by which pods are found. */}}
{{- define "rightcall.checkLabels" -}}
{{- $taken := keys (include "rightcall.ownLabels" (dict "root" $ "part" "pdp") | fromYaml) | sortAlpha -}}
{{- $given := dict "commonLabels" .Values.commonLabels "pdp.podLabels" .Values.pdp.podLabels "loader.podLabels" .Values.loader.podLabels -}}
{{- range $value, $labels := $given -}}
{{- range $label, $_ := $labels -}}
{{- if has $label $taken -}}
{{- fail (printf "%s must not set %s, which the chart sets itself (as it does %s); take another label" $value $label (join ", " (without $taken $label))) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Where rules come from, and the key. */}}
{{- define "rightcall.checkRules" -}}
{{- with .Values -}}
{{- $redis := list -}}
{{- if .redis.url }}{{ $redis = append $redis "redis.url" }}{{ end -}}
{{- if .redis.existingSecret }}{{ $redis = append $redis "redis.existingSecret" }}{{ end -}}
{{- if .redis.bundled.enabled }}{{ $redis = append $redis "redis.bundled.enabled" }}{{ end -}}
{{- $definitions := list -}}
{{- if .definitions.files }}{{ $definitions = append $definitions "definitions.files" }}{{ end -}}
{{- if .definitions.existingSecret }}{{ $definitions = append $definitions "definitions.existingSecret" }}{{ end -}}
{{- if .definitions.existingConfigMap }}{{ $definitions = append $definitions "definitions.existingConfigMap" }}{{ end -}}
{{- if and (eq .mode "redis") (ne (len $redis) 1) -}}
{{- fail (printf "mode redis needs to know one Redis, but %s; set one of redis.url, redis.existingSecret, redis.bundled.enabled (or try: -f examples/trial.yaml)" (ternary "none is given" (printf "%s are given" (join " and " $redis)) (empty $redis))) -}}
{{- end -}}
{{- if and (eq .mode "embedded") $redis -}}
{{- fail (printf "mode embedded uses no Redis, but %s is given; remove it, or set mode: redis" (first $redis)) -}}
{{- end -}}
{{- if gt (len $definitions) 1 -}}
{{- fail (printf "%s exclude each other; give one of them" (join " and " $definitions)) -}}
{{- end -}}
{{- $reads := or (eq .mode "embedded") (and .loader.enabled (not .loader.source)) -}}
{{- if and $reads (empty $definitions) -}}
{{- fail "where are the call permissions? set definitions.files, definitions.existingSecret or definitions.existingConfigMap, or (mode redis) loader.source" -}}
{{- end -}}
{{- if and .secretKey.existingSecret .secretKey.value -}}
{{- fail "secretKey.existingSecret and secretKey.value exclude each other; give one of them" -}}
{{- end -}}
{{- if and (eq .mode "redis") (not .secretKey.existingSecret) (not .secretKey.value) -}}
{{- fail "mode redis needs a secret key, which signs the rules: kubectl create secret generic rightcall-key --from-literal=key=$(openssl rand -hex 32), then set secretKey.existingSecret=rightcall-key" -}}
{{- end -}}
{{- if and (eq .mode "embedded") (not .pdp.enabled) -}}
{{- fail "mode embedded has servers and no loader; set pdp.enabled: true, or mode: redis" -}}
{{- end -}}
{{- $wazo := or (hasPrefix "confd+https://" .loader.source) (hasPrefix "confd+http://" .loader.source) -}}
{{- if and .loader.wazo.username (not $wazo) -}}
{{- fail "loader.wazo is for a Wazo Platform; set loader.source to confd+https://HOST/api/confd/1.1, or take loader.wazo away" -}}
{{- end -}}
{{- if and .loader.wazo.username (not .loader.wazo.existingSecret) -}}
{{- fail "loader.wazo.username needs a password: kubectl create secret generic rightcall-wazo --from-literal=password=…, then set loader.wazo.existingSecret=rightcall-wazo" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* How servers run, and who may ask them. */}}
{{- define "rightcall.checkServers" -}}
{{- with .Values -}}
{{- if and (eq .pdp.kind "DaemonSet") .pdp.autoscaling.enabled -}}
{{- fail "a DaemonSet has one server a node; set pdp.autoscaling.enabled: false, or pdp.kind: Deployment" -}}
{{- end -}}
{{- with .pdp.autoscaling -}}
{{- if and .enabled (gt (int .minReplicas) (int .maxReplicas)) -}}
{{- fail (printf "pdp.autoscaling has minReplicas %d above maxReplicas %d; raise the latter, or lower the former" (int .minReplicas) (int .maxReplicas)) -}}
{{- end -}}
{{- end -}}
{{- if and (not .tracing.enabled) .tracing.endpoint -}}
{{- fail "tracing.endpoint does nothing by itself; set tracing.enabled, too" -}}
{{- end -}}
{{- if and .tls.existingSecret .tls.certManager.enabled -}}
{{- fail "tls.existingSecret and tls.certManager.enabled exclude each other; give one of them" -}}
{{- end -}}
{{- if and .tls.certManager.enabled (not .tls.certManager.issuer.name) -}}
{{- fail "cert-manager must know who issues the certificate; set tls.certManager.issuer.name" -}}
{{- end -}}
{{- $tls := include "rightcall.tlsSecret" $ -}}
{{- if and (not $tls) (or .tls.http .tls.clientCASecret) -}}
{{- fail "there is no TLS without a certificate; set tls.existingSecret or tls.certManager.enabled" -}}
{{- end -}}
{{- if and (eq .pdp.auth "mtls") (not (include "rightcall.clientCASecret" $)) -}}
{{- fail "auth mtls tells clients by their certificates; set tls.certManager.enabled, or tls.existingSecret and tls.clientCASecret" -}}
{{- end -}}
{{- if and (not (include "rightcall.clientCASecret" $)) (or .tls.clientNames .tls.revocationList) -}}
{{- fail "tls.clientNames and tls.revocationList are about client certificates; set tls.clientCASecret" -}}
{{- end -}}
{{- if and (eq .pdp.auth "tokens") (not .pdp.clients.existingSecret) -}}
{{- fail "auth tokens needs the file of clients: kubectl create secret generic rightcall-clients --from-file=clients.yaml, then set pdp.clients.existingSecret=rightcall-clients" -}}
{{- end -}}
{{- $keys := or .pdp.jwt.jwksUrl .pdp.jwt.existingConfigMap -}}
{{- if and (eq .pdp.auth "jwt") (not (and $keys .pdp.jwt.audience .pdp.jwt.issuer)) -}}
{{- fail "auth jwt needs to know whose tokens are good; set pdp.jwt.jwksUrl (or pdp.jwt.existingConfigMap), pdp.jwt.audience and pdp.jwt.issuer" -}}
{{- end -}}
{{- if and .pdp.decisionLog.to .pdp.decisionLog.existingSecret -}}
{{- fail "pdp.decisionLog.to and pdp.decisionLog.existingSecret exclude each other; give one of them" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Whether `helm test` and the load test could ask at all. */}}
{{- define "rightcall.checkQuestions" -}}
{{- with .Values -}}
{{- $tokens := has .pdp.auth (list "tokens" "jwt") -}}
{{- $shown := include "rightcall.clientCASecret" $ -}}
{{- $certificate := include "rightcall.testCertificate" $ -}}
{{- if and .pdp.enabled .test.enabled -}}
{{- if and $tokens (not .test.tokenSecret) -}}
{{- fail (printf "with auth %s `helm test` needs a token: kubectl create secret generic rightcall-test --from-file=token, then set test.tokenSecret=rightcall-test; or test.enabled=false" .pdp.auth) -}}
{{- end -}}
{{- if and .test.tokenSecret (not (include "rightcall.tlsSecret" $)) -}}
{{- fail "tokens are sent over TLS alone; set tls.existingSecret or tls.certManager.enabled, or test.enabled=false where a mesh does TLS" -}}
{{- end -}}
{{- if and $shown (not $certificate) -}}
{{- fail "servers want client certificates, and `helm test` has none; set tls.certManager.clientCertificate, test.certificateSecret or test.enabled=false" -}}
{{- end -}}
{{- end -}}
{{- if .loadTest.enabled -}}
{{- if not .pdp.enabled -}}
{{- fail "there are no servers to test; set loadTest.enabled: false, or pdp.enabled: true" -}}
{{- end -}}
{{- if not .test.enabled -}}
{{- fail "the load test waits until `helm test` would pass; set test.enabled: true" -}}
{{- end -}}
{{- if not .loadTest.image -}}
{{- fail "the load test needs an image whose entry point is ghz; set loadTest.image" -}}
{{- end -}}
{{- if and .loadTest.questions .loadTest.existingConfigMap -}}
{{- fail "loadTest.questions and loadTest.existingConfigMap exclude each other; give one of them" -}}
{{- end -}}
{{- if and $tokens (not .loadTest.metadataSecret) -}}
{{- fail (printf "with auth %s the load test needs a token; set loadTest.metadataSecret to a Secret with metadata.json" .pdp.auth) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
