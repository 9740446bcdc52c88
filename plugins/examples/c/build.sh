#!/usr/bin/env bash
# Makes `plugin.wasm`: bindings of `wit/`, objects without a C library, and a
# component of them. What it needs:
#
#     python3 -m pip install ziglang==0.17.1           # a C compiler, or any clang with a wasm target
#     cargo install wit-bindgen-cli@0.61.0 --locked    # the bindings
#     rustup toolchain install 1.95.0                  # its linker for components
set -euo pipefail
cd "$(dirname "$0")"

: "${CC:=python3 -m ziglang cc}" "${WIT_BINDGEN:=wit-bindgen}"
linkers=$(echo "$(rustc --print sysroot)"/lib/rustlib/*/bin)
linkers=${linkers%% *}

mkdir -p build
"$WIT_BINDGEN" c wit --world full-plugin --out-dir build
for source in plugin.c libc.c build/full_plugin.c; do
  # Unquoted on purpose: `python3 -m ziglang cc` is four words.
  $CC -target wasm32-wasi -std=c11 -Wall -Wextra -O2 -fno-builtin -Ibuild -c "$source" -o "build/$(basename "$source" .c).o"
done
"$linkers/wasm-component-ld" --wasm-ld-path "$linkers/gcc-ld/wasm-ld" --wasi-adapter none --no-entry --strip-debug \
  -z stack-size=65536 build/plugin.o build/libc.o build/full_plugin.o build/full_plugin_component_type.o -o plugin.wasm
