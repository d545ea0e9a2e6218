// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Little-endian bytes in and out, with bounds: nothing here trusts its input.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/types/span.h"

namespace pinboard::cache_service {

static_assert(std::endian::native == std::endian::little, "integers are copied as they lie");

/// Elements of one list, and pages of one batch, in any message.
inline constexpr std::uint32_t kMaxListElements = 65536;
/// Bytes of a text or a key in any message.
inline constexpr std::uint32_t kMaxTextBytes = 4096;

/// True where every value of a structure occupies the same bytes: it holds no text, key or list.
template <typename Structure>
inline constexpr bool kFixedSize = std::is_trivially_copyable_v<Structure>;

/// True where a structure lies in memory as it is encoded, but for bytes behind its end: it is
/// copied at once. Whoever says so shows it.
template <typename Structure>
inline constexpr bool kLiesAsEncoded = false;

/// Adds up fields by their types: texts, keys and lists as empty ones.
class SizeCounter {
 public:
  template <typename... Values>
  constexpr void operator()(const Values&... values) {
    (Count(values), ...);
  }
  constexpr std::size_t bytes() const { return bytes_; }

 private:
  template <typename Value>
  constexpr void Count(const Value& value) {
    if constexpr (std::is_enum_v<Value> || std::is_integral_v<Value>) {
      bytes_ += sizeof(Value);
    } else {
      Fields(value, *this);
    }
  }
  template <typename Element, std::size_t size>
  constexpr void Count(const std::array<Element, size>& /*array*/) {
    bytes_ += sizeof(Element) * size;
  }
  template <typename Element>
  constexpr void Count(const std::vector<Element>& /*list*/) {
    bytes_ += sizeof(std::uint32_t);
  }
  constexpr void Count(const std::string& /*text*/) { bytes_ += sizeof(std::uint32_t); }

  std::size_t bytes_ = 0;
};

/// The bytes that a structure occupies, or at least occupies where its size is not fixed.
template <typename Structure>
constexpr std::size_t LeastEncodedBytes() {
  SizeCounter counter;
  counter(Structure{});
  return counter.bytes();
}

/// Copies fields that hold no text, key or list to memory with room for them.
class FixedWriter {
 public:
  explicit FixedWriter(std::byte* to) : to_(to) {}

  template <typename... Values>
  void operator()(const Values&... values) {
    (Write(values), ...);
  }

 private:
  template <typename Value>
  void Write(const Value& value) {
    if constexpr (std::is_enum_v<Value> || std::is_integral_v<Value>) {
      Copy(&value, sizeof(value));
    } else if constexpr (kLiesAsEncoded<Value>) {
      Copy(&value, LeastEncodedBytes<Value>());
    } else {
      Fields(value, *this);
    }
  }
  template <typename Element, std::size_t size>
  void Write(const std::array<Element, size>& array) {
    static_assert(std::is_integral_v<Element>);
    Copy(array.data(), sizeof(array));
  }
  void Copy(const void* from, std::size_t bytes) {
    std::memcpy(to_, from, bytes);
    to_ += bytes;
  }

  std::byte* to_;
};

/// The other way, from memory that holds all of them.
class FixedReader {
 public:
  explicit FixedReader(const std::byte* from) : from_(from) {}

  template <typename... Values>
  void operator()(Values&... values) {
    (Read(values), ...);
  }

 private:
  template <typename Value>
  void Read(Value& value) {
    if constexpr (std::is_enum_v<Value> || std::is_integral_v<Value>) {
      Copy(&value, sizeof(value));
    } else if constexpr (kLiesAsEncoded<Value>) {
      Copy(&value, LeastEncodedBytes<Value>());
    } else {
      Fields(value, *this);
    }
  }
  template <typename Element, std::size_t size>
  void Read(std::array<Element, size>& array) {
    static_assert(std::is_integral_v<Element>);
    Copy(array.data(), sizeof(array));
  }
  void Copy(void* to, std::size_t bytes) {
    std::memcpy(to, from_, bytes);
    from_ += bytes;
  }

  const std::byte* from_;
};

/// Appends fields: integers little-endian, text and keys with a u32 length in front, lists with a
/// u32 count. Lists of more than kMaxListElements are the caller's error. A structure is written by
/// its `Fields`, so that writing and reading follow one description. Room for a list of structures
/// of fixed size is made, and on the other side checked, once.
class ByteWriter {
 public:
  /// `prefix_bytes` are left for what is known afterwards.
  explicit ByteWriter(std::size_t prefix_bytes = 0) : bytes_(prefix_bytes) {}

  template <typename... Values>
  void operator()(const Values&... values) {
    (Write(values), ...);
  }
  std::vector<std::byte> Take() { return std::exchange(bytes_, {}); }

 private:
  template <typename Value>
  void Write(const Value& value) {
    if constexpr (std::is_enum_v<Value>) {
      Write(static_cast<std::underlying_type_t<Value>>(value));
    } else if constexpr (std::is_integral_v<Value>) {
      Append(&value, sizeof(value));
    } else {
      Fields(value, *this);
    }
  }
  void Write(const std::string& text) {
    Write(static_cast<std::uint32_t>(text.size()));
    Append(text.data(), text.size());
  }
  void Write(const std::vector<std::byte>& key) {
    Write(static_cast<std::uint32_t>(key.size()));
    Append(key.data(), key.size());
  }
  template <typename Element>
  void Write(const std::vector<Element>& list) {
    Write(static_cast<std::uint32_t>(list.size()));
    if constexpr (kFixedSize<Element>) {
      const std::size_t begin = bytes_.size();
      bytes_.resize(begin + list.size() * LeastEncodedBytes<Element>());
      FixedWriter writer(bytes_.data() + begin);
      for (const Element& element : list) writer(element);
    } else {
      for (const Element& element : list) Write(element);
    }
  }
  template <typename Element, std::size_t size>
  void Write(const std::array<Element, size>& array) {
    static_assert(std::is_integral_v<Element>);
    Append(array.data(), sizeof(array));
  }
  void Append(const void* from, std::size_t bytes) {
    const auto* begin = static_cast<const std::byte*>(from);
    bytes_.insert(bytes_.end(), begin, begin + bytes);
  }

  std::vector<std::byte> bytes_;
};

/// Reads the same fields. After the first field that does not fit, everything reads as zero and
/// ok() is false; no list or text is allocated before its bytes are known to be there.
class ByteReader {
 public:
  explicit ByteReader(absl::Span<const std::byte> bytes) : bytes_(bytes) {}

  template <typename... Values>
  void operator()(Values&... values) {
    (Read(values), ...);
  }
  bool ok() const { return ok_; }
  std::size_t remaining() const { return bytes_.size(); }

 private:
  template <typename Value>
  void Read(Value& value) {
    if constexpr (std::is_enum_v<Value>) {
      std::underlying_type_t<Value> raw{};
      Read(raw);
      value = static_cast<Value>(raw);
    } else if constexpr (std::is_integral_v<Value>) {
      Take(&value, sizeof(value));
    } else {
      Fields(value, *this);
    }
  }
  void Read(std::string& text) {
    const std::uint32_t size = Count(kMaxTextBytes, 1);
    text.assign(reinterpret_cast<const char*>(bytes_.data()), size);
    bytes_.remove_prefix(size);
  }
  void Read(std::vector<std::byte>& key) {
    const std::uint32_t size = Count(kMaxTextBytes, 1);
    key.assign(bytes_.begin(), bytes_.begin() + size);
    bytes_.remove_prefix(size);
  }
  template <typename Element>
  void Read(std::vector<Element>& list) {
    const std::size_t element_bytes = LeastEncodedBytes<Element>();
    list.resize(Count(kMaxListElements, element_bytes));
    if constexpr (kFixedSize<Element>) {
      FixedReader reader(bytes_.data());
      for (Element& element : list) reader(element);
      bytes_.remove_prefix(list.size() * element_bytes);
    } else {
      for (Element& element : list) Read(element);
    }
  }
  template <typename Element, std::size_t size>
  void Read(std::array<Element, size>& array) {
    static_assert(std::is_integral_v<Element>);
    Take(array.data(), sizeof(array));
  }

  void Take(void* to, std::size_t bytes) {
    if (bytes > bytes_.size()) Fail();
    if (!ok_) {
      std::memset(to, 0, bytes);
      return;
    }
    std::memcpy(to, bytes_.data(), bytes);
    bytes_.remove_prefix(bytes);
  }
  std::uint32_t Count(std::uint32_t limit, std::size_t element_bytes) {
    std::uint32_t count = 0;
    Read(count);
    if (count > limit || count * element_bytes > bytes_.size()) {
      Fail();
      return 0;
    }
    return count;
  }
  void Fail() {
    ok_ = false;
    bytes_ = {};
  }

  absl::Span<const std::byte> bytes_;
  bool ok_ = true;
};

}  // namespace pinboard::cache_service
