;; A plugin around a core module. What stands in braces is filled in by
;; plugin.rs; records are those of wit/, in its order.
(component
  (import "hookyard:plugin/log@0.1.0" (instance $log
    (type $levels (enum "debug" "info" "warn" "error"))
    (export "level" (type $level (eq $levels)))
    (export "write" (func (param "level" $level) (param "text" string)))))
  {imports}

  ;; Memory and its allocator stand apart, so that imports can be lowered before
  ;; the code is there that calls them.
  (core module $room
    (memory (export "memory") {pages})
    (global $next (mut i32) (i32.const {heap}))
    (func $realloc (export "realloc") (param $old i32) (param $had i32) (param $align i32) (param $size i32) (result i32)
      {realloc}))
  (core instance $room (instantiate $room))
  (core func $log-write (canon lower (func $log "write") (memory (core memory $room "memory"))))
  {lowered}
  (core module $code
    (import "room" "memory" (memory 0))
    (import "room" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
    (import "host" "log" (func $log (param i32 i32 i32)))
    {core-imports}
    {data}
    {fields}
    (func $describe (export "describe") (result i32) {describe})
    (func $check (export "check") (param $config i32) (param $config-len i32) (result i32) {check})
    (func $map (export "map")
      (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) {map})
    (func $keep (export "keep") (param $args i32) (result i32) {keep})
    (func $transform (export "transform") (param $args i32) (result i32) {transform})
    (func (export "describe-post") (param i32) {describe-post})
    (func (export "transform-post") (param i32) {transform-post}))
  (core instance $code (instantiate $code
    (with "room" (instance $room))
    (with "host" (instance (export "log" (func $log-write)) {core-exports}))))

  (type $job-type (enum "mapper" "filter" "transformer"))
  (export $job "job" (type $job-type))
  (type $example-type (record (field "name" string) (field "job" $job) (field "config" string)
    (field "input" string) (field "output" string)))
  (export $example "example" (type $example-type))
  (type $description-type (record (field "name" string) (field "version" string) (field "summary" string)
    (field "config-schema" string) (field "capabilities" (list string)) (field "examples" (list $example))))
  (export $description "description" (type $description-type))
  (type $issue-type (record (field "path" string) (field "message" string)))
  (export $issue "issue" (type $issue-type))
  (func $describe (result $description) (canon lift (core func $code "describe") (memory (core memory $room "memory"))
    (post-return (core func $code "describe-post"))))
  (func $check (param "config" string) (result (result (error (list $issue))))
    (canon lift (core func $code "check") (memory (core memory $room "memory")) (realloc (core func $room "realloc"))))
  (instance $settings (export "describe" (func $describe)) (export "check" (func $check)))
  (export "hookyard:plugin/settings@0.1.0" (instance $settings))

  (type $field-type (record (field "name" string) (field "value" string)))
  (export $field "field" (type $field-type))
  (type $request-type (record (field "id" string) (field "source" string) (field "received-at" string)
    (field "method" string) (field "query" (list $field)) (field "headers" (list $field)) (field "body" (list u8))))
  (export $request "request" (type $request-type))
  (type $draft-type (record (field "type" (option string)) (field "occurred-at" (option string))
    (field "subject" (option string)) (field "account" (option string)) (field "tags" (list string))
    (field "data" string)))
  (export $draft "draft" (type $draft-type))
  (type $event-type (record (field "id" string) (field "type" string) (field "occurred-at" string)
    (field "subject" (option string)) (field "account" (option string)) (field "tags" (list string))
    (field "data" string)))
  (export $event "event" (type $event-type))
  (type $message-type (record (field "method" string) (field "target" (option string))
    (field "headers" (list $field)) (field "body" (list u8))))
  (export $message "message" (type $message-type))
  (type $verdict-type (variant (case "keep") (case "drop" string)))
  (export $verdict "verdict" (type $verdict-type))
  (type $refusal-type (record (field "code" string) (field "message" string)))
  (export $refusal "refusal" (type $refusal-type))
  {job}
)
