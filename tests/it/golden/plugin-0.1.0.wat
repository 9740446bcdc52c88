;; A component of contract 0.1.0, frozen: written by hand with every record of
;; that version, all of its jobs, and its log and its history. Components like
;; this are in tenants' databases, so this file never changes; see golden.rs.
;;
;; As a mapper it makes one event of a request's body. As a filter it keeps what
;; has a tag. As a transformer it sends the event's data, and logs `seen before`
;; if its subject has a history.
(component
  (import "hookyard:plugin/log@0.1.0" (instance $log
    (type $levels (enum "debug" "info" "warn" "error"))
    (export "level" (type $level (eq $levels)))
    (export "write" (func (param "level" $level) (param "text" string)))))
  (import "hookyard:plugin/types@0.1.0" (instance $types
    (type $field' (record (field "name" string) (field "value" string)))
    (export "field" (type $field (eq $field')))
    (type $request' (record (field "id" string) (field "source" string) (field "received-at" string)
      (field "method" string) (field "query" (list $field)) (field "headers" (list $field)) (field "body" (list u8))))
    (export "request" (type $request (eq $request')))
    (type $draft' (record (field "type" (option string)) (field "occurred-at" (option string))
      (field "subject" (option string)) (field "account" (option string)) (field "tags" (list string))
      (field "data" string)))
    (export "draft" (type $draft (eq $draft')))
    (type $event' (record (field "id" string) (field "type" string) (field "occurred-at" string)
      (field "subject" (option string)) (field "account" (option string)) (field "tags" (list string))
      (field "data" string)))
    (export "event" (type $event (eq $event')))
    (type $message' (record (field "method" string) (field "target" (option string))
      (field "headers" (list $field)) (field "body" (list u8))))
    (export "message" (type $message (eq $message')))
    (type $verdict' (variant (case "keep") (case "drop" string)))
    (export "verdict" (type $verdict (eq $verdict')))
    (type $refusal' (record (field "code" string) (field "message" string)))
    (export "refusal" (type $refusal (eq $refusal')))))
  (alias export $types "request" (type $request))
  (alias export $types "draft" (type $draft))
  (alias export $types "event" (type $event))
  (alias export $types "message" (type $message))
  (alias export $types "verdict" (type $verdict))
  (alias export $types "refusal" (type $refusal))
  (import "hookyard:plugin/history@0.1.0" (instance $history
    (export "event" (type $past (eq $event)))
    (export "recent" (func (param "types" (list string)) (param "limit" u32) (result (list $past))))))

  (core module $room
    (memory (export "memory") 2)
    (global $next (mut i32) (i32.const 65536))
    (func (export "realloc") (param $old i32) (param $had i32) (param $align i32) (param $size i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $at) (local.get $size)))
      (if (i32.gt_u (global.get $next) (i32.const 131072)) (then unreachable))
      (local.get $at)))
  (core instance $room (instantiate $room))
  (core func $write (canon lower (func $log "write") (memory (core memory $room "memory"))))
  (core func $recent (canon lower (func $history "recent") (memory (core memory $room "memory")) (realloc (core func $room "realloc"))))

  (core module $code
    (import "room" "memory" (memory 0))
    (import "host" "write" (func $write (param i32 i32 i32)))
    (import "host" "recent" (func $recent (param i32 i32 i32 i32)))
    ;; Texts.
    (data (i32.const 1024) "golden")
    (data (i32.const 1040) "0.1.0")
    (data (i32.const 1056) "A component of contract 0.1.0.")
    (data (i32.const 1104) "{\22type\22:\22object\22}")
    (data (i32.const 1136) "history")
    (data (i32.const 1152) "no tags")
    (data (i32.const 1168) "seen before")
    (data (i32.const 1184) "{}")
    (data (i32.const 1200) "not an object")
    (data (i32.const 1232) "{\22request\22:{\22body\22:\22[1]\22}}")
    (data (i32.const 1264) "[{\22data\22:[1]}]")
    (data (i32.const 1296) "{\22event\22:{\22type\22:\22a.b\22,\22tags\22:[\22x\22]}}")
    (data (i32.const 1344) "\22keep\22")
    (data (i32.const 1360) "{\22event\22:{\22type\22:\22a.b\22,\22data\22:{\22n\22:1}},\22message\22:{\22body\22:\22\22}}")
    (data (i32.const 1440) "{\22method\22:\22POST\22,\22body\22:{\22n\22:1}}")
    ;; The list of capabilities.
    (data (i32.const 1536) "\70\04\00\00\07\00\00\00")
    ;; The examples: name, job, config, input, output.
    (data (i32.const 1552)
      "\00\04\00\00\06\00\00\00\00\00\00\00\a0\04\00\00\02\00\00\00\d0\04\00\00\1a\00\00\00\f0\04\00\00\0e\00\00\00"
      "\00\04\00\00\06\00\00\00\01\00\00\00\a0\04\00\00\02\00\00\00\10\05\00\00\25\00\00\00\40\05\00\00\06\00\00\00"
      "\00\04\00\00\06\00\00\00\02\00\00\00\a0\04\00\00\02\00\00\00\50\05\00\00\3d\00\00\00\a0\05\00\00\20\00\00\00")
    ;; The description: name, version, summary, schema, capabilities, examples.
    (data (i32.const 1680)
      "\00\04\00\00\06\00\00\00\10\04\00\00\05\00\00\00\20\04\00\00\1e\00\00\00\50\04\00\00\11\00\00\00"
      "\00\06\00\00\01\00\00\00\10\06\00\00\03\00\00\00")
    ;; One issue: at the root, that it is no object.
    (data (i32.const 1744) "\00\00\00\00\00\00\00\00\b0\04\00\00\0d\00\00\00")

    (func (export "describe") (result i32) (i32.const 1680))
    ;; Accepts what begins as an object does.
    (func (export "check") (param $config i32) (param $len i32) (result i32)
      (if (i32.eq (i32.load8_u (local.get $config)) (i32.const 0x7b)) (then (return (i32.const 1776))))
      (i32.store (i32.const 1792) (i32.const 1))
      (i32.store (i32.const 1796) (i32.const 1744))
      (i32.store (i32.const 1800) (i32.const 1))
      (i32.const 1792))
    (func (export "map") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (param $body i32) (param $len i32)
      (param i32 i32) (result i32)
      (i32.store (i32.const 1880) (local.get $body))
      (i32.store (i32.const 1884) (local.get $len))
      (i32.store (i32.const 1796) (i32.const 1824))
      (i32.store (i32.const 1800) (i32.const 1))
      (i32.const 1792))
    (func (export "keep") (param $args i32) (result i32)
      (if (i32.eqz (i32.load offset=52 (local.get $args))) (then
        (i32.store (i32.const 1796) (i32.const 1))
        (i32.store (i32.const 1800) (i32.const 1152))
        (i32.store (i32.const 1804) (i32.const 7))))
      (i32.const 1792))
    (func (export "transform") (param $args i32) (result i32)
      (call $recent (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 1776))
      (if (i32.load offset=4 (i32.const 1776)) (then
        (call $write (i32.const 1) (i32.const 1168) (i32.const 11))))
      (memory.copy (i32.const 1796) (i32.add (local.get $args) (i32.const 64)) (i32.const 28))
      (i32.store (i32.const 1824) (i32.load offset=56 (local.get $args)))
      (i32.store (i32.const 1828) (i32.load offset=60 (local.get $args)))
      (i32.const 1792)))
  (core instance $code (instantiate $code
    (with "room" (instance $room))
    (with "host" (instance (export "write" (func $write)) (export "recent" (func $recent))))))

  (type $job (enum "mapper" "filter" "transformer"))
  (type $example (record (field "name" string) (field "job" $job) (field "config" string) (field "input" string)
    (field "output" string)))
  (type $description (record (field "name" string) (field "version" string) (field "summary" string)
    (field "config-schema" string) (field "capabilities" (list string)) (field "examples" (list $example))))
  (type $issue (record (field "path" string) (field "message" string)))
  (func $describe (result $description) (canon lift (core func $code "describe") (memory (core memory $room "memory"))))
  (func $check (param "config" string) (result (result (error (list $issue))))
    (canon lift (core func $code "check") (memory (core memory $room "memory")) (realloc (core func $room "realloc"))))
  (func $map (param "request" $request) (param "config" string) (result (result (list $draft) (error $refusal)))
    (canon lift (core func $code "map") (memory (core memory $room "memory")) (realloc (core func $room "realloc"))))
  (func $keep (param "event" $event) (param "config" string) (result (result $verdict (error $refusal)))
    (canon lift (core func $code "keep") (memory (core memory $room "memory")) (realloc (core func $room "realloc"))))
  (func $transform (param "event" $event) (param "message" $message) (param "config" string)
    (result (result $message (error $refusal)))
    (canon lift (core func $code "transform") (memory (core memory $room "memory")) (realloc (core func $room "realloc"))))

  ;; The tools put a small component around each interface that has types of its
  ;; own, so that it can export them.
  (component $settings-shim
    (type $job' (enum "mapper" "filter" "transformer"))
    (import "import-type-job" (type $job (eq $job')))
    (type $example' (record (field "name" string) (field "job" $job) (field "config" string) (field "input" string)
      (field "output" string)))
    (import "import-type-example" (type $example (eq $example')))
    (type $description' (record (field "name" string) (field "version" string) (field "summary" string)
      (field "config-schema" string) (field "capabilities" (list string)) (field "examples" (list $example))))
    (import "import-type-description" (type $description (eq $description')))
    (type $issue' (record (field "path" string) (field "message" string)))
    (import "import-type-issue" (type $issue (eq $issue')))
    (import "import-func-describe" (func $describe (result $description)))
    (import "import-func-check" (func $check (param "config" string) (result (result (error (list $issue))))))
    (export $job-out "job" (type $job'))
    (type $example-out' (record (field "name" string) (field "job" $job-out) (field "config" string)
      (field "input" string) (field "output" string)))
    (export $example-out "example" (type $example-out'))
    (type $description-out' (record (field "name" string) (field "version" string) (field "summary" string)
      (field "config-schema" string) (field "capabilities" (list string)) (field "examples" (list $example-out))))
    (export $description-out "description" (type $description-out'))
    (export $issue-out "issue" (type $issue'))
    (export "describe" (func $describe) (func (result $description-out)))
    (export "check" (func $check) (func (param "config" string) (result (result (error (list $issue-out)))))))
  (instance $settings (instantiate $settings-shim
    (with "import-type-job" (type $job)) (with "import-type-example" (type $example))
    (with "import-type-description" (type $description)) (with "import-type-issue" (type $issue))
    (with "import-func-describe" (func $describe)) (with "import-func-check" (func $check))))
  (export "hookyard:plugin/settings@0.1.0" (instance $settings))

  (instance $mapper
    (export "request" (type $request)) (export "draft" (type $draft)) (export "refusal" (type $refusal))
    (export "map" (func $map)))
  (export "hookyard:plugin/mapper@0.1.0" (instance $mapper))
  (instance $filter
    (export "event" (type $event)) (export "verdict" (type $verdict)) (export "refusal" (type $refusal))
    (export "keep" (func $keep)))
  (export "hookyard:plugin/filter@0.1.0" (instance $filter))
  (instance $transformer
    (export "event" (type $event)) (export "message" (type $message)) (export "refusal" (type $refusal))
    (export "transform" (func $transform)))
  (export "hookyard:plugin/transformer@0.1.0" (instance $transformer)))
